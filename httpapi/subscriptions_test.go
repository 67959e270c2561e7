package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"mainstem/httpapi"
	"mainstem/stream"
	"mainstem/subs"
)

func (n *node) Subscription(id subs.ID) (*subs.Subscription, bool) { return n.copy().Subscription(id) }
func (n *node) EachSubscription(fn func(*subs.Subscription) bool)  { n.copy().EachSubscription(fn) }
func (n *node) Links(number uint64, limit int) ([]subs.LinkInfo, error) {
	return n.copy().Links(number, limit)
}

// notary signs nothing: its tokens say in plain what they are for.
type notary struct {
	drawn int
	err   error // of whatever needs keys
}

func (k *notary) CheckURL(raw string) *subs.Refusal {
	if strings.HasPrefix(raw, "http://10.") {
		return &subs.Refusal{Code: subs.WebhookURLRejected, Detail: "private"}
	}
	return nil
}

func (k *notary) NewWakeID() string {
	k.drawn++
	return fmt.Sprintf("w_%d", k.drawn)
}

func (k *notary) Mint(_ context.Context, number, generation uint64) (string, error) {
	return fmt.Sprintf("%d.%d", number, generation), k.err
}

func (k *notary) Verify(_ context.Context, token string, number uint64) (generation uint64, err error) {
	var of uint64
	if token == "old" {
		return 0, &subs.Refusal{Code: subs.TokenExpired}
	}
	if _, err := fmt.Sscanf(token, "%d.%d", &of, &generation); err != nil || of != number {
		return 0, &subs.Refusal{Code: subs.TokenInvalid}
	}
	return generation, k.err
}

func (k *notary) JWKS(context.Context) ([]byte, error)      { return []byte(`{"keys":[]}`), k.err }
func (k *notary) CanMint(context.Context) error             { return k.err }
func (k *notary) ActiveKid(context.Context) (string, error) { return "ds_1", k.err }

const controlled = "/v1/stream/__ds/subscriptions/"

func subscribing(t *testing.T) (*node, *httpapi.Server, *notary) {
	n, k := newNode(t), &notary{}
	at := time.Unix(1_900_000_000, 0)
	n.now = func() time.Time { return at }
	return n, n.serve(httpapi.Config{Subscriptions: n, Webhooks: k}), k
}

// members decodes an answer's body.
func (a *answer) members(t *testing.T) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.text()), &m); err != nil {
		t.Fatalf("%v in %s", err, a.text())
	}
	return m
}

// refused checks a refusal: the problem, and the specification's error in it.
func (a *answer) refused(t *testing.T, status int, code string) map[string]any {
	t.Helper()
	a.want(t, status, "Content-Type", "application/problem+json", "Cache-Control", "no-store")
	m := a.members(t)
	e, _ := m["error"].(map[string]any)
	if e["code"] != code || m["reason"] != code || e["message"] == "" || m["detail"] != e["message"] || m["status"] != float64(status) {
		t.Fatalf("got %s, want %s", a.text(), code)
	}
	return e
}

const hook = `{"type":"webhook","pattern":"events/*","streams":["/m/b","m/a"],"webhook":{"url":"https://h.example/x"},"lease_ttl_ms":1000,"description":"d"}`

func TestASubscriptionIsShownAsTheSpecificationWritesIt(t *testing.T) {
	n, s, _ := subscribing(t)
	n.apply(true, create("events/old", "application/json", `[1]`))
	a := do(s, "PUT", "http://a.example"+controlled+"s%201", hook, "Content-Type", "application/json", "X-Forwarded-Proto", "https")
	a.want(t, 201, "Content-Type", "application/json")
	want := `{"id":"s 1","subscription_id":"s 1","type":"webhook","pattern":"events/*","streams":[` +
		`{"path":"events/old","link_type":"glob","acked_offset":"0000000000000001_0000000000000002"},` +
		`{"path":"m/a","link_type":"explicit","acked_offset":"0000000000000000_0000000000000000"},` +
		`{"path":"m/b","link_type":"explicit","acked_offset":"0000000000000000_0000000000000000"}],` +
		`"webhook":{"url":"https://h.example/x","signing":{"alg":"ed25519","kid":"ds_1","jwks_url":"https://a.example/v1/stream/__ds/jwks.json"}},` +
		`"wake_stream":null,"lease_ttl_ms":1000,"created_at":"2030-03-17T17:46:40.000Z","status":"active","description":"d"}`
	if got := a.text(); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	again := do(s, "PUT", "http://b.example"+controlled+"s%201", hook)
	again.want(t, 200)
	if got := again.text(); got != want { // the base is the creator's, and no part of the configuration
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	do(s, "PUT", controlled+"s%201", strings.Replace(hook, `"d"`, `"e"`, 1)).refused(t, 409, "SUBSCRIPTION_ALREADY_EXISTS")
	if got := do(s, "GET", controlled+"s%201", "").text(); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	list := do(s, "GET", "/v1/stream/__ds/subscriptions", "")
	list.want(t, 200)
	if l := list.members(t)["subscriptions"].([]any); len(l) != 1 || l[0].(map[string]any)["id"] != "s 1" {
		t.Fatalf("listed %s", list.text())
	}
	do(s, "DELETE", controlled+"s%201", "").want(t, 204)
	do(s, "DELETE", controlled+"s%201", "").want(t, 204)
	do(s, "GET", controlled+"s%201", "").refused(t, 404, "SUBSCRIPTION_NOT_FOUND")
}

func TestThePublicURLBeginsWhatReceiversAreGiven(t *testing.T) {
	n, k := newNode(t), &notary{}
	s := n.serve(httpapi.Config{Subscriptions: n, Webhooks: k, PublicURL: "https://streams.example"})
	do(s, "PUT", "http://inside:4437"+controlled+"s", hook).want(t, 201)
	if sub, _ := n.Subscription("s"); sub.Base != "https://streams.example/v1/stream" {
		t.Fatalf("the base is %q", sub.Base)
	}
	mounted := http.StripPrefix("/api", n.serve(httpapi.Config{Subscriptions: n, Webhooks: k}))
	do(mounted, "PUT", "/api"+controlled+"m", hook).want(t, 201)
	if sub, _ := n.Subscription("m"); sub.Base != "http://example.com/api/v1/stream" {
		t.Fatalf("the base below a prefix is %q", sub.Base)
	}
}

func TestExplicitStreamsAreAddedAndRemovedByEscapedPath(t *testing.T) {
	_, s, _ := subscribing(t)
	do(s, "PUT", controlled+"s", hook).want(t, 201)
	do(s, "POST", controlled+"s/streams", `{"streams":["a/b","sp ace/x","q%2Fr"]}`).want(t, 204)
	paths := func() (list []string) {
		for _, l := range do(s, "GET", controlled+"s", "").members(t)["streams"].([]any) {
			list = append(list, l.(map[string]any)["path"].(string))
		}
		return list
	}
	if got := fmt.Sprint(paths()); got != "[a/b m/a m/b q%2Fr sp%20ace/x]" {
		t.Fatalf("got %s", got)
	}
	for _, path := range []string{"a/b", url.PathEscape("sp%20ace/x"), url.PathEscape("q%2Fr"), "m%2Fa", "absent"} {
		do(s, "DELETE", controlled+"s/streams/"+path, "").want(t, 204)
	}
	if got := fmt.Sprint(paths()); got != "[m/b]" {
		t.Fatalf("got %s", got)
	}
	do(s, "POST", controlled+"none/streams", `{"streams":["a"]}`).refused(t, 404, "SUBSCRIPTION_NOT_FOUND")
	do(s, "DELETE", controlled+"none/streams/a", "").refused(t, 404, "SUBSCRIPTION_NOT_FOUND")
}

func TestBadInputAboutSubscriptionsIsRefusedAndChangesNothing(t *testing.T) {
	n, s, _ := subscribing(t)
	put := func(body string) *answer { return do(s, "PUT", controlled+"s", body) }
	for name, body := range map[string]string{
		"no body":           ``,
		"no JSON":           `{`,
		"an array":          `[]`,
		"no type":           `{"pattern":"a","webhook":{"url":"https://h/"}}`,
		"unknown type":      `{"type":"push","pattern":"a"}`,
		"nothing to follow": `{"type":"webhook","webhook":{"url":"https://h/"}}`,
		"empty lists":       `{"type":"webhook","pattern":"","streams":[],"webhook":{"url":"https://h/"}}`,
		"bad glob":          `{"type":"webhook","pattern":"a*b","webhook":{"url":"https://h/"}}`,
		"reserved glob":     `{"type":"webhook","pattern":"__ds/*","webhook":{"url":"https://h/"}}`,
		"reserved stream":   `{"type":"webhook","streams":["__ds/x"],"webhook":{"url":"https://h/"}}`,
		"a dotted stream":   `{"type":"webhook","streams":["a/../b"],"webhook":{"url":"https://h/"}}`,
		"a number":          `{"type":"webhook","streams":[7],"webhook":{"url":"https://h/"}}`,
		"no URL":            `{"type":"webhook","pattern":"a"}`,
		"no wake stream":    `{"type":"pull-wake","pattern":"a"}`,
		"its own events":    `{"type":"pull-wake","streams":["w"],"wake_stream":"/w"}`,
		"short lease":       `{"type":"pull-wake","pattern":"a","wake_stream":"w","lease_ttl_ms":999}`,
		"long lease":        `{"type":"pull-wake","pattern":"a","wake_stream":"w","lease_ttl_ms":600001}`,
		"no lease":          `{"type":"pull-wake","pattern":"a","wake_stream":"w","lease_ttl_ms":0}`,
		"half a lease":      `{"type":"pull-wake","pattern":"a","wake_stream":"w","lease_ttl_ms":1000.5}`,
		"endless lease":     `{"type":"pull-wake","pattern":"a","wake_stream":"w","lease_ttl_ms":9223372036854775807}`,
	} {
		t.Run(name, func(t *testing.T) { put(body).refused(t, 400, "INVALID_REQUEST") })
	}
	put(strings.Replace(hook, "https://h.example", "http://10.0.0.1", 1)).refused(t, 400, "WEBHOOK_URL_REJECTED")
	put(`"`+strings.Repeat("x", 1<<20)+`"`).want(t, 413)
	do(s, "PUT", controlled+strings.Repeat("x", 257), hook).refused(t, 400, "INVALID_REQUEST")
	do(s, "PUT", controlled+"%ff", hook).refused(t, 400, "INVALID_REQUEST")
	do(s, "PUT", controlled+"%0a", hook).refused(t, 400, "INVALID_REQUEST")
	do(s, "PUT", controlled, hook).refused(t, 400, "INVALID_REQUEST")
	for _, path := range []string{"/v1/stream/__ds/none", "/v1/stream/__ds/", controlled + "s/none", controlled + "s/streams/", "/v1/stream/__ds/subscriptionsx"} {
		do(s, "GET", path, "").want(t, 404, "Content-Type", "application/problem+json")
	}
	do(s, "PATCH", controlled+"s", "").want(t, 405)
	do(s, "POST", controlled+"s", "").want(t, 405, "Allow", "GET, PUT, DELETE")
	do(s, "GET", controlled+"s/claim", "").want(t, 405, "Allow", "POST")
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.submitted) != 0 {
		t.Fatalf("bad input reached the log: %+v", n.submitted)
	}
}

// pulling is a subscription whose work is claimed by one worker.
func pulling(t *testing.T) (n *node, s *httpapi.Server, token, wake, tail string) {
	n, s, _ = subscribing(t)
	n.apply(true, create("wake/pool", "application/json", `[]`))
	do(s, "PUT", controlled+"p", `{"type":"pull-wake","pattern":"events/*","wake_stream":"wake/pool"}`).want(t, 201)
	do(s, "POST", controlled+"p/claim", `{"worker":"one"}`).refused(t, 409, "NO_PENDING_WORK")
	tail = n.apply(true, create("events/a", "application/json", `[1]`)).String()
	a := do(s, "POST", controlled+"p/claim", `{"worker":"one"}`)
	a.want(t, 200, "Content-Type", "application/json")
	number := sequenceOf(t, n, "p")
	want := fmt.Sprintf(`{"wake_id":"w_2","generation":1,"token":"%d.1","streams":[{"path":"events/a","link_type":"glob","acked_offset":"%s","tail_offset":"%s","has_pending":true}],"lease_ttl_ms":30000}`,
		number, tail[:17]+"0000000000000000", tail)
	if got := a.text(); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	return n, s, fmt.Sprintf("Bearer %d.1", number), "w_2", tail
}

func sequenceOf(t *testing.T, n *node, id subs.ID) uint64 {
	t.Helper()
	sub, ok := n.Subscription(id)
	if !ok {
		t.Fatalf("no subscription %s", id)
	}
	return sub.Number
}

func TestAWorkerClaimsAcksAndIsFenced(t *testing.T) {
	n, s, token, wake, tail := pulling(t)
	if text := readAll(t, n, "wake/pool"); strings.Count(text, `"type":"wake"`) != 1 {
		t.Fatalf("the wake stream holds %s, want one event", text)
	}
	e := do(s, "POST", controlled+"p/claim", `{"worker":"two"}`).refused(t, 409, "ALREADY_CLAIMED")
	if e["current_holder"] != "one" || e["generation"] != float64(1) {
		t.Fatalf("got %v, want the holder and its generation", e)
	}
	ack := func(body string, headers ...string) *answer {
		return do(s, "POST", controlled+"p/ack", body, headers...)
	}
	auth := []string{"Authorization", token}
	beat := fmt.Sprintf(`{"wake_id":%q,"generation":1}`, wake)
	for name, headers := range map[string][]string{"none": nil, "another scheme": {"Authorization", "Basic x"}, "no token": {"Authorization", "Bearer "}, "of another": {"Authorization", "Bearer 99.1"}} {
		t.Run(name, func(t *testing.T) {
			a := ack(beat, headers...)
			a.refused(t, 401, "TOKEN_INVALID")
			a.want(t, 401, "WWW-Authenticate", `Bearer realm="mainstem"`)
		})
	}
	do(s, "POST", controlled+"p/ack?token="+strings.TrimPrefix(token, "Bearer "), beat).refused(t, 401, "TOKEN_INVALID")
	ack(beat, "Authorization", "Bearer old").refused(t, 401, "TOKEN_EXPIRED")
	ack(`{"wake_id":"w_9","generation":1}`, auth...).refused(t, 409, "FENCED")
	ack(fmt.Sprintf(`{"wake_id":%q,"generation":2}`, wake), auth...).refused(t, 409, "FENCED")
	ack(fmt.Sprintf(`{"wake_id":%q}`, wake), auth...).refused(t, 409, "FENCED")
	ack(`{"wake_id":7}`, auth...).refused(t, 400, "INVALID_REQUEST")
	for _, offset := range []string{"-1", "now", "x", tail[:len(tail)-1] + "9"} {
		ack(fmt.Sprintf(`{"wake_id":%q,"generation":1,"acks":[{"stream":"events/a","offset":%q}]}`, wake, offset), auth...).refused(t, 409, "INVALID_OFFSET")
	}
	ack(fmt.Sprintf(`{"wake_id":%q,"generation":1,"acks":[{"stream":"events/none","offset":%q}]}`, wake, tail), auth...).refused(t, 409, "INVALID_OFFSET")
	do(s, "POST", controlled+"p/callback", beat, auth...).refused(t, 400, "INVALID_REQUEST")
	ack(beat, auth...).want(t, 200)
	done := fmt.Sprintf(`{"wake_id":%q,"generation":1,"acks":[{"path":"events/a","offset":%q}],"done":true}`, wake, tail)
	a := ack(done, auth...)
	a.want(t, 200)
	if a.text() != `{"ok":true,"next_wake":false}` {
		t.Fatalf("got %s", a.text())
	}
	ack(done, auth...).refused(t, 409, "FENCED")
	do(s, "POST", controlled+"p/release", beat, auth...).refused(t, 409, "FENCED")
	do(s, "DELETE", controlled+"p", "").want(t, 204)
	ack(done, auth...).refused(t, 404, "SUBSCRIPTION_NOT_FOUND")
}

func TestAReleaseGivesTheWorkBack(t *testing.T) {
	n, s, token, wake, _ := pulling(t)
	do(s, "POST", controlled+"p/release", fmt.Sprintf(`{"wake_id":%q,"generation":1}`, wake), "Authorization", token).want(t, 204)
	do(s, "POST", controlled+"p/claim", `{"worker":""}`).refused(t, 400, "INVALID_REQUEST")
	do(s, "POST", controlled+"p/claim", `{"worker":"two"}`).want(t, 200)
	if text := readAll(t, n, "wake/pool"); strings.Count(text, `"generation":2`) != 1 {
		t.Fatalf("the wake stream holds %s, want an event of the second generation", text)
	}
}

func readAll(t *testing.T, n *node, name stream.Name) string {
	t.Helper()
	chunk, err := n.Read(name, stream.From{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var text string
	for _, b := range chunk.Body {
		text += string(b)
	}
	return text
}

// TestSubscriptionCallsAreFenced: a node that is behind answers from what was
// committed, or not at all.
func TestSubscriptionCallsAreFenced(t *testing.T) {
	n, k := laggingNode(t), &notary{}
	config := subs.Config{Kind: subs.Webhook, Pattern: "a", URL: "https://h/"}
	if no := config.Normalise(); no != nil {
		t.Fatal(no)
	}
	n.apply(false, subs.Wrap(subs.Create{ID: "s", Config: config}))
	s := n.serve(httpapi.Config{Subscriptions: n, Webhooks: k, NoLeaderGrace: 10 * time.Millisecond})
	do(s, "GET", controlled+"s", "", "Stream-Read-Consistency", "local").refused(t, 404, "SUBSCRIPTION_NOT_FOUND")
	do(s, "GET", controlled+"s", "").want(t, 200)
	n.loseLeader(time.Hour)
	do(s, "GET", controlled+"s", "").want(t, 503, "Retry-After", "1")
	do(s, "GET", "/v1/stream/__ds/subscriptions", "").want(t, 503)
	do(s, "PUT", controlled+"t", hook).want(t, 503)
	do(s, "POST", controlled+"s/callback", `{}`, "Authorization", "Bearer x").want(t, 503)
	do(s, "GET", controlled+"s", "", "Stream-Read-Consistency", "local").want(t, 200)
}

func TestKeysAreServedForReceiversToKeepForAWhile(t *testing.T) {
	_, s, k := subscribing(t)
	a := do(s, "GET", "/v1/stream/__ds/jwks.json", "")
	a.want(t, 200, "Content-Type", "application/jwk-set+json", "Cache-Control", "public, max-age=300", "Access-Control-Allow-Origin", "*", "X-Content-Type-Options", "nosniff")
	k.err = errors.New("the key is sealed, and this node has no key to open it")
	do(s, "GET", "/v1/stream/__ds/jwks.json", "").want(t, 503, "Retry-After", "1")
	do(s, "POST", controlled+"p/claim", `{"worker":"one"}`).want(t, 503)
}

func TestWithoutSubscriptionsTheirPathsStayReserved(t *testing.T) {
	s := newNode(t).serve(httpapi.Config{})
	do(s, "PUT", controlled+"s", hook).want(t, 404)
	do(s, "PUT", "/v1/stream/%5F_ds/x", "x").want(t, 404)
}
