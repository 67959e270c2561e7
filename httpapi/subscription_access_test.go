package httpapi_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"mainstem/auth"
	"mainstem/httpapi"
)

// TestWhoMayDoWhatWithSubscriptions: configuring belongs to who may follow all of
// it, claiming to who may read the wake stream, and a wake's own token needs nothing
// beside it.
func TestWhoMayDoWhatWithSubscriptions(t *testing.T) {
	n, all, k := subscribing(t)
	n.apply(true, create("wake/pool", "application/json", `[]`))
	do(all, "PUT", controlled+"p", `{"type":"pull-wake","pattern":"events/*","wake_stream":"wake/pool"}`).want(t, 201)
	do(all, "PUT", controlled+"h", hook).want(t, 201)
	n.apply(true, create("events/a", "application/json", `[1]`))
	with := func(scopes []string, streams ...string) func(method, path, body string) *answer {
		gate, key := gateWith(t, scopes, streams...)
		s := n.serve(httpapi.Config{Subscriptions: n, Webhooks: k, Access: gate})
		return func(method, path, body string) *answer { return do(s, method, path, body, "Authorization", key) }
	}
	worker := with([]string{"read"}, "wake/**")
	for path, method := range map[string]string{"q": "GET", "h": "GET", "p/streams": "POST", "p/streams/x": "DELETE", "h/claim": "POST", "none/claim": "POST", "x/y/claim": "POST"} {
		worker(method, controlled+path, `{"streams":["events/z"],"worker":"w"}`).want(t, 403)
	}
	worker("GET", "/v1/stream/__ds/subscriptions", "").want(t, 403)
	worker("GET", "/v1/stream/__ds/jwks.json", "").want(t, 200)
	with([]string{"read", "append", "create", "delete"}, "events/**")("POST", controlled+"p/claim", `{"worker":"one"}`).want(t, 403)
	worker("POST", controlled+"p/claim", `{"worker":"one"}`).want(t, 200)
	gate, key := gateWith(t, []string{"read"}, "**")
	gated := n.serve(httpapi.Config{Subscriptions: n, Webhooks: k, Access: gate})
	do(gated, "POST", controlled+"p/ack", `{}`, "Authorization", key).refused(t, 401, "TOKEN_INVALID")
	sub, _ := n.Subscription("p")
	token, _ := k.Mint(t.Context(), sub.Number, 1)
	do(gated, "POST", controlled+"p/release", `{"wake_id":"`+sub.WakeID+`","generation":1}`, "Authorization", "Bearer "+token).want(t, 204)
	with([]string{"admin"}, "**")("DELETE", controlled+"p", "").want(t, 204)
}

// TestASubscriptionNeedsTheRightToFollowAllThatItCanMatch, for whatever is done
// with it, and to append to its wake stream.
func TestASubscriptionNeedsTheRightToFollowAllThatItCanMatch(t *testing.T) {
	const (
		wide   = `{"type":"webhook","pattern":"**","webhook":{"url":"https://h.example/x"}}`
		rooms  = `{"type":"webhook","pattern":"room/*","webhook":{"url":"https://h.example/x"}}`
		mixed  = `{"type":"webhook","pattern":"room/*","streams":["secret"],"webhook":{"url":"https://h.example/x"}}`
		pulled = `{"type":"pull-wake","pattern":"room/*","wake_stream":"wake/pool"}`
	)
	type request struct{ method, path, body string }
	requests := map[string]request{
		"create wide":       {"PUT", "new", wide},
		"create rooms":      {"PUT", "new", rooms},
		"create mixed":      {"PUT", "new", mixed},
		"create pulled":     {"PUT", "new", pulled},
		"create again":      {"PUT", "rooms", rooms},
		"create over mixed": {"PUT", "mixed", rooms},
		"show rooms":        {"GET", "rooms", ""},
		"show mixed":        {"GET", "mixed", ""},
		"show pulled":       {"GET", "pulled", ""},
		"add":               {"POST", "rooms/streams", `{"streams":["room/a/b"]}`},
		"add secret":        {"POST", "rooms/streams", `{"streams":["room/a/b","secret"]}`},
		"add to mixed":      {"POST", "mixed/streams", `{"streams":["room/a/b"]}`},
		"take out":          {"DELETE", "rooms/streams/room%2Fa", ""},
		"take secret out":   {"DELETE", "mixed/streams/secret", ""},
		"delete rooms":      {"DELETE", "rooms", ""},
		"delete mixed":      {"DELETE", "mixed", ""},
		"delete none":       {"DELETE", "none", ""},
		"list":              {"GET", "", ""},
	}
	ofRooms := []string{"add", "create again", "create rooms", "delete rooms", "show rooms", "take out"}
	all := slices.Sorted(maps.Keys(requests))
	for name, c := range map[string]struct {
		scopes  []string
		streams []string
		want    []string
	}{
		"read of rooms":          {[]string{"read"}, []string{"room/**"}, ofRooms},
		"read of one room":       {[]string{"read"}, []string{"room/a"}, nil},
		"all but read":           {[]string{"append", "create", "delete"}, []string{"**"}, nil},
		"read of rooms and wake": {[]string{"read", "append"}, []string{"room/**", "wake/*"}, append([]string{"create pulled", "show pulled"}, ofRooms...)},
		"read of everything":     {[]string{"read"}, []string{"**"}, slices.DeleteFunc(slices.Clone(all), func(s string) bool { return strings.Contains(s, "pulled") || s == "list" || s == "delete none" })},
		"an administrator":       {[]string{"admin"}, []string{"nothing"}, all},
	} {
		t.Run(name, func(t *testing.T) {
			gate, key := gateWith(t, c.scopes, c.streams...)
			for what, r := range requests {
				n, open, k := subscribing(t)
				for id, body := range map[string]string{"rooms": rooms, "mixed": mixed, "pulled": pulled} {
					do(open, "PUT", controlled+id, body).want(t, 201)
				}
				s := n.serve(httpapi.Config{Subscriptions: n, Webhooks: k, Access: gate})
				written := len(n.submitted)
				path := strings.TrimSuffix(controlled+r.path, "/")
				a := do(s, r.method, path, r.body, "Authorization", key)
				wanted := slices.Contains(c.want, what)
				if got := a.status != 403; got != wanted {
					t.Errorf("%s: got %d %s", what, a.status, a.text())
				}
				if !wanted && (len(n.submitted) != written || strings.Contains(a.text(), "secret") && !strings.Contains(r.path+r.body, "secret")) {
					t.Errorf("%s: %d commands, and told %s", what, len(n.submitted)-written, a.text())
				}
			}
		})
	}
}

// TestATokenOfOneStreamOpensNothingElse: no other stream, neither creation, closing nor
// deletion, and no subscription, which would not end with it.
func TestATokenOfOneStreamOpensNothingElse(t *testing.T) {
	n, _, k := subscribing(t)
	signed, err := auth.NewSigned(auth.SignedConfig{Secrets: [][]byte{[]byte("a secret of 16 bytes or more")}})
	if err != nil {
		t.Fatal(err)
	}
	s := n.serve(httpapi.Config{Subscriptions: n, Webhooks: k, Access: &auth.Gate{Signed: signed}})
	payload := base64.StdEncoding.EncodeToString([]byte(`{"stream":"room/a","permissions":["read","write"]}`))
	mac := hmac.New(sha256.New, []byte("a secret of 16 bytes or more"))
	mac.Write([]byte(payload))
	bearer := "Bearer " + payload + "--" + hex.EncodeToString(mac.Sum(nil))
	do(s, "GET", "/v1/stream/room/a", "", "Authorization", bearer).want(t, 404)
	do(s, "GET", "/v1/stream/room/a?token="+url.QueryEscape(strings.TrimPrefix(bearer, "Bearer ")), "").want(t, 404)
	for path, methods := range map[string][]string{
		"room/b": {"GET", "HEAD", "POST", "PUT", "DELETE"}, "room": {"GET"}, "room/a/b": {"GET"}, "room%2Fa": {"GET"}, // what one client's own check let through
		"room/a": {"PUT", "DELETE", "PATCH"},
	} {
		for _, method := range methods {
			do(s, method, "/v1/stream/"+path, "x", "Authorization", bearer, "Content-Type", "text/plain").want(t, 403)
		}
	}
	do(s, "POST", "/v1/stream/room/a", "", "Authorization", bearer, "Stream-Closed", "true").want(t, 403)
	do(s, "PUT", controlled+"x", `{"type":"webhook","streams":["room/a"],"webhook":{"url":"https://h.example/x"}}`, "Authorization", bearer).want(t, 403)
	if len(n.submitted) > 0 {
		t.Fatalf("%d commands were submitted", len(n.submitted))
	}
}

// TestTheTokenOfAWakeOpensItsOwnRouteOnly.
func TestTheTokenOfAWakeOpensItsOwnRouteOnly(t *testing.T) {
	n, all, k := subscribing(t)
	n.apply(true, create("wake/pool", "application/json", `[]`))
	for _, id := range []string{"p", "q"} {
		do(all, "PUT", controlled+id, `{"type":"pull-wake","pattern":"events/*","wake_stream":"wake/pool"}`).want(t, 201)
	}
	do(all, "PUT", controlled+"h", hook).want(t, 201)
	n.apply(true, create("events/a", "application/json", `[1]`))
	do(all, "POST", controlled+"p/claim", `{"worker":"one"}`).want(t, 200)
	sub, _ := n.Subscription("p")
	token, _ := k.Mint(t.Context(), sub.Number, sub.Generation)
	gate, _ := gateWith(t, []string{"admin"}, "**")
	s := n.serve(httpapi.Config{Subscriptions: n, Webhooks: k, Access: gate})
	body := `{"wake_id":"` + sub.WakeID + `","generation":1}`
	written := len(n.submitted)
	for path, method := range map[string]string{
		"events/a?offset=-1": "GET", "events/a": "POST", "events/b": "PUT", "wake/pool": "DELETE",
		"__ds/subscriptions": "GET", "__ds/subscriptions/p": "GET", "__ds/subscriptions/r": "PUT", "__ds/subscriptions/p/streams": "POST",
		"__ds/subscriptions/p/claim": "POST", "__ds/subscriptions/q/ack": "POST", "__ds/subscriptions/q/release": "POST",
	} {
		a := do(s, method, "/v1/stream/"+path, body, "Authorization", "Bearer "+token, "Content-Type", "application/json")
		if a.status != 401 {
			t.Errorf("%s %s: got %d %s, want 401", method, path, a.status, a.text())
		}
	}
	do(s, "POST", controlled+"h/callback", body, "Authorization", "Bearer "+token).refused(t, 401, "TOKEN_INVALID")
	do(s, "POST", controlled+"p/callback", body, "Authorization", "Bearer "+token).refused(t, 400, "INVALID_REQUEST")
	do(s, "GET", "/v1/stream/events/a?offset=-1&token="+token, "").want(t, 401)
	if len(n.submitted) != written {
		t.Fatalf("%d commands were submitted", len(n.submitted)-written)
	}
	do(s, "POST", controlled+"p/ack", body, "Authorization", "Bearer "+token).want(t, 200)
}
