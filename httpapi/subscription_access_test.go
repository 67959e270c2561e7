package httpapi_test

import (
	"testing"

	"mainstem/httpapi"
)

// TestWhoMayDoWhatWithSubscriptions: configuring is an administrator's, claiming
// belongs to who may read the wake stream, and a wake's own token needs nothing
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
	for path, method := range map[string]string{"p": "PUT", "q": "GET", "h": "GET", "p/streams": "POST", "p/streams/x": "DELETE", "h/claim": "POST", "none/claim": "POST", "x/y/claim": "POST"} {
		worker(method, controlled+path, `{}`).want(t, 403)
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
