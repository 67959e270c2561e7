package test

import "strings"

func badReads() map[string]badCase {
	get := func(status int, target string, headers ...string) badCase {
		return badCase{method: "GET", target: target, headers: headers, status: status}
	}
	cases := map[string]badCase{
		"read: nothing there":           get(404, "bad/no-such"),
		"read: nothing there, now":      get(404, "bad/no-such?offset=now"),
		"read: nothing there, poll":     get(404, "bad/no-such?offset=-1&live=long-poll"),
		"read: nothing there, SSE":      get(404, "bad/no-such?offset=-1&live=sse"),
		"read: soft-deleted":            get(410, "bad/gone"),
		"read: soft-deleted, poll":      get(410, "bad/gone?offset=-1&live=long-poll"),
		"read: soft-deleted, SSE":       get(410, "bad/gone?offset=-1&live=sse"),
		"read: offset twice":            get(400, "bad/text?offset=-1&offset=-1"),
		"read: offset beyond the tail":  get(400, "bad/text?offset={text}_9999999999999999"),
		"read: beyond the tail, poll":   get(400, "bad/text?offset={text}_9999999999999999&live=long-poll"),
		"read: beyond the tail, SSE":    get(400, "bad/text?offset={text}_9999999999999999&live=sse"),
		"read: within an append":        get(400, "bad/text?offset={text}_0000000000000001"),
		"read: poll without offset":     get(400, "bad/text?live=long-poll"),
		"read: SSE without offset":      get(400, "bad/text?live=sse"),
		"read: poll with empty offset":  get(400, "bad/text?live=long-poll&offset="),
		"read: SSE with bad offset":     get(400, "bad/text?live=sse&offset=abc"),
		"read: live empty":              get(400, "bad/text?offset=-1&live="),
		"read: live unknown":            get(400, "bad/text?offset=-1&live=forever"),
		"read: live true":               get(400, "bad/text?offset=-1&live=true"),
		"read: live twice":              get(400, "bad/text?offset=-1&live=sse&live=sse"),
		"read: consistency unknown":     get(400, "bad/text?offset=-1", "Stream-Read-Consistency", "eventual"),
		"read: consistency empty":       get(400, "bad/text?offset=-1", "Stream-Read-Consistency", ""),
		"read: consistency twice":       get(400, "bad/text?offset=-1", "Stream-Read-Consistency", "local", "Stream-Read-Consistency", "local"),
		"read: bad escape in the query": get(400, "bad/text?offset=%25zz"),
	}
	for _, offset := range []string{"", "abc", "0", "-2", "1_1", "0_0", "NOW", "-1-1", "now,now", "0000000000000000", "0000000000000001_000000000000000x",
		"00000000000000001_0000000000000000", "{text}_0000000000000000%00", "%F0%9F%92%A9", strings.Repeat("9", 5000)} {
		cases["read: offset "+offset[:min(len(offset), 40)]] = get(400, "bad/text?offset="+offset)
	}
	return cases
}

func badRest() map[string]badCase {
	return map[string]badCase{
		"head: nothing there":          {method: "HEAD", target: "bad/no-such", status: 404},
		"head: soft-deleted":           {method: "HEAD", target: "bad/gone", status: 410},
		"head: consistency unknown":    {method: "HEAD", target: "bad/text", headers: []string{"Stream-Read-Consistency", "eventual"}, status: 400},
		"delete: nothing there":        {method: "DELETE", target: "bad/no-such", status: 404},
		"delete: soft-deleted":         {method: "DELETE", target: "bad/gone", status: 410},
		"trim: nothing named":          {method: "PATCH", target: "bad/text", body: "x", status: 400},
		"trim: nothing there":          {method: "PATCH", target: "bad/no-such", headers: []string{"Stream-Retention-Horizon", "0000000000000001_0000000000000000"}, status: 404},
		"trim: soft-deleted":           {method: "PATCH", target: "bad/gone", headers: []string{"Stream-Retention-Horizon", "0000000000000001_0000000000000000"}, status: 410},
		"trim: beyond the tail":        {method: "PATCH", target: "bad/forked", headers: []string{"Stream-Retention-Horizon", "{forked}_9999999999999999"}, status: 400},
		"trim: of now":                 {method: "PATCH", target: "bad/text", headers: []string{"Stream-Retention-Horizon", "now"}, status: 400},
		"trim: twice":                  {method: "PATCH", target: "bad/text", headers: []string{"Stream-Retention-Horizon", "0000000000000001_0000000000000000", "Stream-Retention-Horizon", "0000000000000001_0000000000000000"}, status: 400},
		"method: TRACE":                {method: "TRACE", target: "bad/text", status: 405},
		"method: of one's own":         {method: "BREW", target: "bad/text", status: 405},
		"method: POST to health":       {method: "POST", target: "/readyz", status: 405},
		"method: DELETE of the status": {method: "DELETE", target: "/v1/cluster/status", status: 405},
		"route: none":                  {method: "GET", target: "/nothing/here", status: 404},
		"route: root":                  {method: "GET", target: "/", status: 404},
		"route: beside the base":       {method: "GET", target: "/v1/streams/a", status: 404},
		"route: below the status":      {method: "GET", target: "/v1/cluster/status/x", status: 404},
	}
}
