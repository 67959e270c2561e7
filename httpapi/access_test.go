package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mainstem/auth"
	"mainstem/httpapi"
)

// gateWith is a gate with one key, and what to send for it.
func gateWith(t *testing.T, scopes []string, streams ...string) (*auth.Gate, string) {
	t.Helper()
	key, entry, err := auth.NewEntry("ann", scopes, streams)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keys.toml")
	if err := os.WriteFile(path, []byte(entry), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := auth.OpenKeys(auth.KeysConfig{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return &auth.Gate{Keys: keys}, "Bearer " + key
}

// TestEveryRouteDecides walks all routes: but for those that are open on purpose
// none answers somebody unknown, or somebody who may do nothing here.
func TestEveryRouteDecides(t *testing.T) {
	gate, key := gateWith(t, []string{"read"}, "elsewhere")
	n := newNode(t)
	s := n.serve(httpapi.Config{Access: gate})
	open := []string{"/livez", "/startupz", "/healthz", "/readyz", "/metrics", "/v1/stream/__ds/jwks.json", // and where the token of a wake is judged:
		"/v1/stream/__ds/subscriptions/:id/callback", "/v1/stream/__ds/subscriptions/:id/ack", "/v1/stream/__ds/subscriptions/:id/release"}
	walked := 0
	for _, route := range s.Routes() {
		path := strings.Replace(route.Path, "*", "some/stream", 1)
		if slices.Contains(open, route.Path) || route.Method == http.MethodOptions {
			if a := do(s, route.Method, path, ""); a.status == 401 || a.status == 403 {
				t.Errorf("%s %s is open, but answered %d", route.Method, path, a.status)
			}
			continue
		}
		if !slices.Contains([]string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"}, route.Method) {
			continue // echo's own entries for what is not found
		}
		walked++
		do(s, route.Method, path, "x", "Content-Type", "text/plain").want(t, 401, "WWW-Authenticate", `Bearer realm="mainstem"`, "X-Content-Type-Options", "nosniff")
		if route.Path == "/v1/streams" { // a listing shows only what may be read; see TestListingShowsOnlyWhatMayBeRead
			do(s, route.Method, path, "", "Authorization", key).want(t, 200)
			continue
		}
		do(s, route.Method, path, "x", "Content-Type", "text/plain", "Authorization", key).want(t, 403)
	}
	if walked < 7 {
		t.Errorf("%d routes were walked", walked)
	}
	if len(n.submitted) > 0 {
		t.Errorf("%d commands were submitted", len(n.submitted))
	}
}

func TestWhatEachScopeOpens(t *testing.T) {
	type request struct {
		method, path, body string
		header             []string
	}
	requests := map[string]request{
		"read":      {"GET", "room/1?offset=-1", "", nil},
		"head":      {"HEAD", "room/1", "", nil},
		"append":    {"POST", "room/1", "x", []string{"Content-Type", "text/plain"}},
		"close":     {"POST", "room/1", "", []string{"Stream-Closed", "true"}},
		"create":    {"PUT", "room/new", "", []string{"Content-Type", "text/plain"}},
		"fork":      {"PUT", "room/fork", "", []string{"Stream-Forked-From", "/v1/stream/room/1"}},
		"fork away": {"PUT", "room/fork2", "", []string{"Stream-Forked-From", "/v1/stream/secret"}},
		"trim":      {"PATCH", "room/1", "", []string{"Stream-Retention-Horizon", "0000000000000001_0000000000000000"}},
		"delete":    {"DELETE", "room/1", "", nil},
		"elsewhere": {"GET", "secret?offset=-1", "", nil},
		"status":    {"GET", "../cluster/status", "", nil},
	}
	for scopes, want := range map[string][]string{
		"read":               {"read", "head"},
		"append":             {"append", "close"},
		"create":             {"create"},
		"create,read":        {"create", "fork", "head", "read"},
		"delete":             {"delete", "trim"},
		"read,append,create": {"append", "close", "create", "fork", "head", "read"},
		"admin":              {"append", "close", "create", "delete", "fork", "head", "read", "status", "trim"},
	} {
		t.Run(scopes, func(t *testing.T) {
			gate, key := gateWith(t, strings.Split(scopes, ","), "room/**")
			for name, r := range requests {
				n := newNode(t)
				all := n.serve(httpapi.Config{})
				for _, stream := range []string{"room/1", "secret"} {
					do(all, "PUT", "/v1/stream/"+stream, "", "Content-Type", "text/plain").want(t, 201)
				}
				s := n.serve(httpapi.Config{Access: gate})
				path := "/v1/stream/" + r.path
				if name == "status" {
					path = "/v1/cluster/status"
				}
				a := do(s, r.method, path, r.body, append(r.header, "Authorization", key)...)
				if got := a.status < 300; got != slices.Contains(want, name) {
					t.Errorf("%s: got %d %s", name, a.status, a.text())
				} else if !got && a.status != 403 {
					t.Errorf("%s: got %d, want 403", name, a.status)
				}
			}
		})
	}
}

// TestNoDetourLeadsPastTheDecision tries other spellings and methods.
func TestNoDetourLeadsPastTheDecision(t *testing.T) {
	n := newNode(t)
	all := n.serve(httpapi.Config{})
	for _, name := range []string{"a/b", "a%2Fb", "A/b", "a//b", "a/b/", "secret", "a"} {
		do(all, "PUT", "/v1/stream/"+name, "in "+name, "Content-Type", "text/plain").want(t, 201)
	}
	gate, key := gateWith(t, []string{"read"}, "a/b")
	s := n.serve(httpapi.Config{Access: gate})
	written := len(n.submitted)
	for what, c := range map[string]struct {
		method, path string
		header       []string
		status       int
	}{
		"itself":                  {"GET", "/v1/stream/a/b", nil, 200},
		"another spelling":        {"GET", "/v1/stream/%61/b", nil, 200},
		"HEAD":                    {"HEAD", "/v1/stream/a/b", nil, 200},
		"HEAD of another":         {"HEAD", "/v1/stream/secret", nil, 403},
		"HEAD that would delete":  {"HEAD", "/v1/stream/a/b", []string{"X-HTTP-Method-Override", "DELETE"}, 200},
		"a trim":                  {"PATCH", "/v1/stream/a/b", []string{"Stream-Retention-Horizon", "0000000000000001_0000000000000001"}, 403},
		"a method in lower case":  {"get", "/v1/stream/secret", nil, 405},
		"an encoded slash":        {"GET", "/v1/stream/a%2Fb", nil, 403},
		"a doubled slash":         {"GET", "/v1/stream/a//b", nil, 403},
		"a slash more":            {"GET", "/v1/stream/a/b/", nil, 403},
		"case":                    {"GET", "/v1/stream/A/b", nil, 403},
		"dots":                    {"GET", "/v1/stream/a/b/../../secret", nil, 400},
		"encoded dots":            {"GET", "/v1/stream/a/b/%2e%2e/%2E./secret", nil, 400},
		"a doubled base":          {"GET", "//v1/stream/a/b", nil, 404},
		"case of the base":        {"GET", "/V1/stream/secret", nil, 404},
		"reserved":                {"GET", "/v1/stream/__ds/subscriptions/x", nil, 403},
		"a method in a header":    {"POST", "/v1/stream/a/b", []string{"X-HTTP-Method-Override", "GET"}, 403},
		"GET that would delete":   {"GET", "/v1/stream/a/b?_method=DELETE", []string{"X-HTTP-Method", "DELETE"}, 200},
		"close in another case":   {"POST", "/v1/stream/a/b", []string{"Stream-Closed", "TRUE"}, 403},
		"a path in a header":      {"GET", "/v1/stream/secret", []string{"X-Original-URL", "/v1/stream/a/b", "X-Rewrite-URL", "/v1/stream/a/b"}, 403},
		"a fork by full URL":      {"PUT", "/v1/stream/a/b", []string{"Stream-Forked-From", "http://example.com/v1/stream/secret"}, 400},
		"a stream without rights": {"DELETE", "/v1/stream/none", nil, 403}, // not 404: it tells nothing of what is there
	} {
		a := do(s, c.method, c.path, "", append(c.header, "Authorization", key, "Content-Type", "text/plain")...)
		if a.status != c.status {
			t.Errorf("%s: got %d %s, want %d", what, a.status, a.text(), c.status)
		}
		if strings.Contains(a.text(), "in secret") {
			t.Errorf("%s: the secret is shown", what)
		}
	}
	if len(n.submitted) != written {
		t.Errorf("%d commands were submitted", len(n.submitted)-written)
	}
}

func TestProtectedAnswersStayOutOfSharedCaches(t *testing.T) {
	n := newNode(t)
	gate, key := gateWith(t, []string{"admin"}, "**")
	s := n.serve(httpapi.Config{Access: gate})
	do(s, "PUT", "/v1/stream/a", "x", "Content-Type", "text/plain", "Authorization", key).want(t, 201)
	do(s, "GET", "/v1/stream/a?offset=-1", "", "Authorization", key).want(t, 200, "Cache-Control", "private, max-age=60, stale-while-revalidate=300", "Vary", "Authorization, Cookie")
	named := n.serve(httpapi.Config{Access: gate, CORSOrigins: []string{"https://a.example"}})
	do(named, "GET", "/v1/stream/a?offset=-1", "", "Authorization", key).want(t, 200, "Vary", "Origin, Authorization, Cookie")
}

// refuser answers as an authorisation service did.
type refuser struct{ no *auth.Refusal }

func (r refuser) Admit(*http.Request) (*auth.Identity, *auth.Refusal) { return nil, r.no }

func TestARefusalOfTheServiceIsPassedOnVerbatim(t *testing.T) {
	answer := &auth.Answer{Header: http.Header{"Location": {"https://login.example"}, "Content-Type": {"text/html"}, "Cache-Control": {"public"}}, Body: []byte("<p>go there")}
	s := newNode(t).serve(httpapi.Config{Access: refuser{&auth.Refusal{Status: 302, Answer: answer}}})
	a := do(s, "GET", "/v1/stream/a", "")
	a.want(t, 302, "Location", "https://login.example", "Content-Type", "text/html", "Cache-Control", "no-store", "X-Content-Type-Options", "nosniff")
	if a.text() != "<p>go there" {
		t.Errorf("got %q", a.text())
	}
	s = newNode(t).serve(httpapi.Config{Access: refuser{&auth.Refusal{Status: 503, Reason: "AUTH_UNAVAILABLE", Detail: "d"}}})
	do(s, "GET", "/v1/stream/a", "").want(t, 503, "Retry-After", "1")
}

func TestPreflightComesBeforeTheGate(t *testing.T) {
	gate, _ := gateWith(t, []string{"read"}, "**")
	s := newNode(t).serve(httpapi.Config{Access: gate})
	r := httptest.NewRequest("OPTIONS", "/v1/stream/a", nil)
	r.Header.Set("Origin", "https://a.example")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 204 || !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Fatalf("got %d, %v", w.Code, w.Header())
	}
}
