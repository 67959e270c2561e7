package test

import (
	"strings"

	"mainstem/test/harness"
)

func badNames() map[string]badCase {
	return map[string]badCase{
		"name: empty":             {method: "PUT", target: "/v1/stream/", status: 400},
		"name: none":              {method: "PUT", target: "/v1/stream", status: 404},
		"name: dot segment":       {method: "PUT", target: "a/./b", status: 400},
		"name: dots":              {method: "PUT", target: "a/../b", status: 400},
		"name: escaped dots":      {method: "PUT", target: "a/%2e%2E/b", status: 400},
		"name: too long":          {method: "PUT", target: strings.Repeat("x", nameLimit+1), status: 414},
		"name: reserved":          {method: "PUT", target: "__ds/subscription/a", status: 404},
		"name: reserved, escaped": {method: "PUT", target: "%5F_ds/a", status: 404},
		"name: reserved, bare":    {method: "GET", target: "__ds", status: 404},
	}
}

func badCreates() map[string]badCase {
	cases := map[string]badCase{
		"create: both lifetimes":      {method: "PUT", target: "bad/new", headers: []string{"Stream-TTL", "60", "Stream-Expires-At", "2100-01-01T00:00:00Z"}, status: 400},
		"create: TTL twice":           {method: "PUT", target: "bad/new", headers: []string{"Stream-TTL", "60", "Stream-TTL", "60"}, status: 400},
		"create: other type":          {method: "PUT", target: "bad/text", headers: []string{"Content-Type", "text/html", "Stream-Expires-At", badExpiresAt}, status: 409},
		"create: other lifetime":      {method: "PUT", target: "bad/text", headers: []string{"Content-Type", text, "Stream-TTL", "60"}, status: 409},
		"create: other retention":     {method: "PUT", target: "bad/text", headers: []string{"Content-Type", text, "Stream-Expires-At", badExpiresAt, "Stream-Retention-Bytes", "5"}, status: 409},
		"create: another end":         {method: "PUT", target: "bad/text", headers: []string{"Content-Type", text, "Stream-Expires-At", "2100-01-01T00:00:01Z"}, status: 409},
		"create: no lifetime":         {method: "PUT", target: "bad/text", headers: []string{"Content-Type", text}, status: 409},
		"create: closed over open":    {method: "PUT", target: "bad/text", headers: []string{"Content-Type", text, "Stream-Expires-At", badExpiresAt, "Stream-Closed", "true"}, status: 409},
		"create: open over closed":    {method: "PUT", target: "bad/closed", headers: []string{"Content-Type", text}, status: 409},
		"create: over a soft-deleted": {method: "PUT", target: "bad/gone", headers: []string{"Content-Type", text}, status: 409},
		"create: over the limit":      {method: "PUT", target: "bad/new", headers: []string{"Content-Type", text}, body: strings.Repeat("x", bodyLimit+1), status: 413},
		"create: encoded body":        {method: "PUT", target: "bad/new", headers: []string{"Content-Type", text, "Content-Encoding", "gzip"}, body: "x", status: 415},
	}
	for _, ttl := range []string{"", "-1", "+1", "01", "1.0", "1e3", "abc", "99999999999999999999", "1 2", "0x10"} {
		cases["create: Stream-TTL "+ttl] = badCase{method: "PUT", target: "bad/new", headers: []string{"Stream-TTL", ttl}, status: 400}
	}
	for _, n := range []string{"", "0", "-1", "+1", "01", "1.0", "1e3", "abc", "99999999999999999999"} {
		cases["create: Stream-Retention-Bytes "+n] = badCase{method: "PUT", target: "bad/new", headers: []string{"Stream-Retention-Bytes", n}, status: 400}
		cases["create: Stream-Retention-Age "+n] = badCase{method: "PUT", target: "bad/new", headers: []string{"Stream-Retention-Age", n}, status: 400}
	}
	for _, at := range []string{"", "tomorrow", "2100-13-01T00:00:00Z", "2100-02-30T00:00:00Z", "2100-01-01T00:00:00", "2100-01-01", "2100-01-01 00:00:00Z", "4102444800", "2100-01-01T25:00:00Z"} {
		cases["create: Stream-Expires-At "+at] = badCase{method: "PUT", target: "bad/new", headers: []string{"Stream-Expires-At", at}, status: 400}
	}
	for _, kind := range []string{"text", "/", "text/", "/plain", "te xt/plain", ";charset=utf-8", strings.Repeat("x", 300) + "/y"} {
		cases["create: Content-Type "+kind] = badCase{method: "PUT", target: "bad/new", headers: []string{"Content-Type", kind}, status: 400}
	}
	for _, body := range []string{"{", "[1,", "[1,]", "nul", "{}{}", `{"a":01}`, "'a'", "\"\x01\"", "[1] x"} {
		cases["create: JSON "+body] = badCase{method: "PUT", target: "bad/new", headers: []string{"Content-Type", "application/json"}, body: body, status: 400}
	}
	return cases
}

func badForks() map[string]badCase {
	from := []string{"Stream-Forked-From", harness.StreamPath("bad/forked")}
	fork := func(status int, headers ...string) badCase {
		return badCase{method: "PUT", target: "bad/new", headers: append(headers[:len(headers):len(headers)], from...), status: status}
	}
	bare := func(status int, headers ...string) badCase {
		return badCase{method: "PUT", target: "bad/new", headers: headers, status: status}
	}
	cases := map[string]badCase{
		"fork: of nothing":               bare(404, "Stream-Forked-From", harness.StreamPath("bad/no-such")),
		"fork: of a soft-deleted":        bare(409, "Stream-Forked-From", harness.StreamPath("bad/gone")),
		"fork: offset without source":    bare(400, "Stream-Fork-Offset", "-1"),
		"fork: sub-offset without":       bare(400, "Stream-Fork-Sub-Offset", "0"),
		"fork: other type":               fork(409, "Content-Type", "text/html"),
		"fork: offset beyond the tail":   fork(400, "Stream-Fork-Offset", "{forked}_9999999999999999"),
		"fork: offset twice":             fork(400, "Stream-Fork-Offset", "-1", "Stream-Fork-Offset", "-1"),
		"fork: sub-offset, no offset":    fork(400, "Stream-Fork-Sub-Offset", "1"),
		"fork: sub-offset overshoots":    fork(400, "Stream-Fork-Offset", "0000000000000000_0000000000000000", "Stream-Fork-Sub-Offset", "7"),
		"fork: source twice":             fork(400, "Stream-Forked-From", harness.StreamPath("bad/forked")),
		"fork: both lifetimes":           fork(400, "Stream-TTL", "60", "Stream-Expires-At", "2100-01-01T00:00:00Z"),
		"fork: over another stream":      {method: "PUT", target: "bad/closed", headers: from, status: 409},
		"fork: same name, other source":  {method: "PUT", target: "bad/fork", headers: []string{"Stream-Forked-From", harness.StreamPath("bad/json")}, status: 409},
		"fork: same name, other offset":  {method: "PUT", target: "bad/fork", headers: append([]string{"Stream-Fork-Offset", "0000000000000000_0000000000000000"}, from...), status: 409},
		"fork: plain over a fork's name": {method: "PUT", target: "bad/fork", headers: []string{"Content-Type", "text/html"}, status: 409},
	}
	for _, source := range []string{"", "bad/forked", "/elsewhere/bad/forked", "/v1/stream", "/v1/stream/", "/v1/stream/../x", "/v1/stream/%zz"} {
		cases["fork: source "+source] = bare(400, "Stream-Forked-From", source)
	}
	for _, offset := range []string{"", "abc", "0_0", "-2", "0000000000000000", "0000000000000000-0000000000000000", "0000000000000000_000000000000000x"} {
		cases["fork: offset "+offset] = fork(400, "Stream-Fork-Offset", offset)
	}
	for _, sub := range []string{"", "-1", "+1", "01", "1.5", "abc", "1e3", "99999999999999999999"} {
		cases["fork: sub-offset "+sub] = fork(400, "Stream-Fork-Offset", "0000000000000000_0000000000000000", "Stream-Fork-Sub-Offset", sub)
	}
	return cases
}

func badAppends() map[string]badCase {
	cases := map[string]badCase{
		"append: to nothing":               {method: "POST", target: "bad/no-such", headers: []string{"Content-Type", text}, body: "x", status: 404},
		"append: to a soft-deleted":        {method: "POST", target: "bad/gone", headers: []string{"Content-Type", text}, body: "x", status: 410},
		"append: no type":                  {method: "POST", target: "bad/text", headers: []string{"Content-Type", ""}, body: "x", status: 400},
		"append: other type":               {method: "POST", target: "bad/text", headers: []string{"Content-Type", "text/html"}, body: "x", status: 409, want: []string{"Stream-Closed", ""}},
		"append: no type at all":           {method: "POST", target: "bad/text", body: "x", status: 400},
		"append: nothing":                  {method: "POST", target: "bad/text", headers: []string{"Content-Type", text}, status: 400},
		"append: nothing, not quite close": {method: "POST", target: "bad/text", headers: []string{"Content-Type", text, "Stream-Closed", "yes"}, status: 400},
		"append: over the limit":           {method: "POST", target: "bad/text", headers: []string{"Content-Type", text}, body: strings.Repeat("x", bodyLimit+1), status: 413},
		"append: to a closed":              {method: "POST", target: "bad/closed", headers: []string{"Content-Type", text}, body: "x", status: 409, want: []string{"Stream-Closed", "true"}},
		"append: to a closed, other type":  {method: "POST", target: "bad/closed", headers: []string{"Content-Type", "text/html"}, body: "x", status: 409, want: []string{"Stream-Closed", "true"}},
		"append: close a closed with body": {method: "POST", target: "bad/closed", headers: []string{"Content-Type", text, "Stream-Closed", "true"}, body: "x", status: 409, want: []string{"Stream-Closed", "true"}},
		"append: sequence repeated":        {method: "POST", target: "bad/text", headers: []string{"Content-Type", text, "Stream-Seq", "m"}, body: "x", status: 409, want: []string{"Stream-Closed", ""}},
		"append: sequence back":            {method: "POST", target: "bad/text", headers: []string{"Content-Type", text, "Stream-Seq", "a"}, body: "x", status: 409},
		"append: If-Match elsewhere":       {method: "POST", target: "bad/text", headers: []string{"Content-Type", text, "If-Match", `"0000000000000001_0000000000000001"`}, body: "x", status: 412},
		"append: sequence twice":           {method: "POST", target: "bad/text", headers: []string{"Content-Type", text, "Stream-Seq", "y", "Stream-Seq", "z"}, body: "x", status: 400},
		"append: encoded body":             {method: "POST", target: "bad/text", headers: []string{"Content-Type", text, "Content-Encoding", "gzip"}, body: "x", status: 415},
	}
	for _, tag := range []string{"", "x", `""`, `"x"`, `W/"0000000000000001_0000000000000001"`, `"now"`, `"0000000000000001_0000000000000001`, "0000000000000001_0000000000000001", `"-1", "-1"`} {
		cases["append: If-Match "+tag] = badCase{method: "POST", target: "bad/text", headers: []string{"Content-Type", text, "If-Match", tag}, body: "x", status: 400}
	}
	for _, body := range []string{"[]", "[ ]", "{", "[1,", "[1,]", "nul", "1 2", "[]x", `{"a":}`, "\xff"} {
		cases["append: JSON "+body] = badCase{method: "POST", target: "bad/json", headers: []string{"Content-Type", "application/json"}, body: body, status: 400}
	}
	return cases
}

func badProducers() map[string]badCase {
	post := func(status int, headers ...string) badCase {
		return badCase{method: "POST", target: "bad/text", headers: append([]string{"Content-Type", text}, headers...), body: "x", status: status}
	}
	cases := map[string]badCase{
		"producer: id alone":       post(400, "Producer-Id", "p"),
		"producer: epoch alone":    post(400, "Producer-Epoch", "0"),
		"producer: seq alone":      post(400, "Producer-Seq", "0"),
		"producer: no seq":         post(400, "Producer-Id", "p", "Producer-Epoch", "0"),
		"producer: no epoch":       post(400, "Producer-Id", "p", "Producer-Seq", "0"),
		"producer: no id":          post(400, "Producer-Epoch", "0", "Producer-Seq", "0"),
		"producer: empty id":       post(400, tuple("", "0", "0")...),
		"producer: id too long":    post(400, tuple(strings.Repeat("p", 1025), "0", "0")...),
		"producer: id twice":       post(400, append(tuple("p", "0", "0"), "Producer-Id", "q")...),
		"producer: epoch twice":    post(400, append(tuple("p", "0", "0"), "Producer-Epoch", "0")...),
		"producer: seq twice":      post(400, append(tuple("p", "0", "0"), "Producer-Seq", "0")...),
		"producer: unknown, gap":   post(409, tuple("fresh", "0", "5")...),
		"producer: gap":            post(409, tuple("known", "4", "7")...),
		"producer: old epoch":      post(403, tuple("known", "3", "1")...),
		"producer: new epoch at 1": post(400, tuple("known", "5", "1")...),
	}
	for _, number := range []string{"", "-1", "+1", "1.5", "abc", "1e3", "9007199254740992", "99999999999999999999"} {
		cases["producer: epoch "+number] = post(400, tuple("p", number, "0")...)
		cases["producer: seq "+number] = post(400, tuple("p", "0", number)...)
	}
	gap := cases["producer: gap"]
	gap.want = []string{"Producer-Expected-Seq", "1", "Producer-Received-Seq", "7", "Stream-Closed", ""}
	cases["producer: gap"] = gap
	fenced := cases["producer: old epoch"]
	fenced.want = []string{"Producer-Epoch", "4"}
	cases["producer: old epoch"] = fenced
	return cases
}
