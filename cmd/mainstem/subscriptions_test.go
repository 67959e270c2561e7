package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// request carries out one request and returns its status.
func request(t *testing.T, method, url, body string) int {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestSubscriptionsFromTheCommandLine lists, shows and deletes on a real node,
// whose metrics count them.
func TestSubscriptionsFromTheCommandLine(t *testing.T) {
	_, base := dev(t)
	root := strings.TrimSuffix(base, "/v1/stream")
	const body = `{"type":"pull-wake","pattern":"jobs/*","wake_stream":"wake/none","lease_ttl_ms":5000,"description":"night shift"}`
	if got := request(t, "PUT", base+"/__ds/subscriptions/night%2Fshift", body); got != 201 {
		t.Fatalf("the subscription was answered %d", got)
	}
	if got := request(t, "PUT", base+"/jobs/1", `[1]`); got != 201 {
		t.Fatalf("the stream was answered %d", got)
	}
	ask := func(args ...string) (string, int) {
		p := launch(t, append([]string{"subscriptions", "--url", root}, args...)...)
		code := p.exit()
		return p.stdout.String() + p.stderr.String(), code
	}
	wants := func(words []string, args ...string) {
		t.Helper()
		text, code := ask(args...)
		for _, word := range words {
			if code != 0 || !strings.Contains(text, word) {
				t.Fatalf("%v ended with %d and without %q:\n%s", args, code, word, text)
			}
		}
	}
	// Its wake stream is missing, so its wake fails and is tried again.
	eventually(t, "a failed wake", func() bool {
		text, _ := ask("list")
		return strings.Contains(text, "failed")
	})
	wants([]string{"night/shift", "pull-wake", "jobs/*", "GENERATION"}, "list")
	wants([]string{"night/shift", "wake/none", "night shift", "jobs/1", "glob", "lease 5s"}, "show", "night/shift")
	text, _ := ask("list", "--json")
	var list struct {
		Subscriptions []struct {
			ID      string
			Pending int `json:"pending_streams"`
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Subscriptions) != 1 || list.Subscriptions[0].Pending != 1 {
		t.Fatalf("%v in %s", err, text)
	}
	_, metrics := get(t, root+"/metrics")
	for _, line := range []string{"\nmainstem_subscriptions 1\n", "\nmainstem_subscriptions_failed 1\n", "\nmainstem_subscription_wakes_total 0\n", "\nmainstem_subscription_lease_expiries_total 0\n"} {
		if !strings.Contains(metrics, line) {
			t.Fatalf("metrics have no %q", line)
		}
	}
	if strings.Contains(metrics, "night") {
		t.Fatal("a subscription's id is in the metrics")
	}
	wants([]string{"rotated"}, "rotate-key")
	wants([]string{"rotated"}, "rotate-key")
	if _, keys := get(t, base+"/__ds/jwks.json"); strings.Count(keys, `"kid"`) != 2 {
		t.Fatalf("after two rotations the keys are %s", keys)
	}
	wants([]string{"deleted night/shift"}, "delete", "night/shift")
	if text, code := ask("delete", "night/shift"); code != 1 || !strings.Contains(text, "no subscription") {
		t.Fatalf("a second deletion ended with %d: %s", code, text)
	}
	wants([]string{"[]"}, "list", "--json")
}
