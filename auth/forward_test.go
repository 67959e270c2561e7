package auth

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// service is an authorisation service that notes what it was asked.
type service struct {
	*httptest.Server
	mu     sync.Mutex // guards asked
	asked  []*http.Request
	answer func(w http.ResponseWriter, r *http.Request)
}

func newService(t *testing.T, answer func(http.ResponseWriter, *http.Request)) *service {
	s := &service{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if len(body) > 0 {
			t.Errorf("the question has a body: %q", body)
		}
		s.mu.Lock()
		s.asked = append(s.asked, r)
		s.mu.Unlock()
		s.answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func forwardTo(t *testing.T, cfg ForwardConfig) *Gate {
	t.Helper()
	f, err := NewForward(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &Gate{Forward: f}
}

func TestTheServiceSeesTheRequestAndItsConsentLetsItOn(t *testing.T) {
	s := newService(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-User", "ann"); w.WriteHeader(204) })
	g := forwardTo(t, ForwardConfig{URL: s.URL + "/check?app=1", CopyHeaders: []string{"x-user", "X-Role"}})
	r := httptest.NewRequest("POST", "http://streams.example/v1/stream/a%2Fb?offset=5", strings.NewReader("body"))
	r.RemoteAddr = "192.0.2.7:99"
	for name, value := range map[string]string{"Authorization": "Token t", "Cookie": "c=1", "X-User": "forged", "X-Role": "forged", "X-Forwarded-For": "10.0.0.1", "Connection": "x-hop", "X-Hop": "1"} {
		r.Header.Set(name, value)
	}
	r.Header.Del("Authorization")
	id, no := g.Admit(r)
	if no != nil || !id.May(Delete, "a") {
		t.Fatalf("not let on: %v", no)
	}
	q := s.asked[0]
	for what, c := range map[string]struct{ got, want string }{
		"method": {q.Method, "GET"}, "path": {q.URL.Path, "/check"}, "query": {q.URL.RawQuery, "app=1&offset=5"}, "host": {q.Host, "streams.example"},
		"X-Forwarded-Method": {q.Header.Get("X-Forwarded-Method"), "POST"}, "X-Forwarded-Uri": {q.Header.Get("X-Forwarded-Uri"), "/v1/stream/a%2Fb?offset=5"},
		"X-Forwarded-For": {strings.Join(q.Header["X-Forwarded-For"], "|"), "192.0.2.7"}, "X-Forwarded-Host": {q.Header.Get("X-Forwarded-Host"), "streams.example"},
		"X-Forwarded-Proto": {q.Header.Get("X-Forwarded-Proto"), "http"}, "Cookie": {q.Header.Get("Cookie"), "c=1"}, "hop": {q.Header.Get("X-Hop"), ""},
		"copied": {r.Header.Get("X-User"), "ann"}, "not set by the service": {r.Header.Get("X-Role"), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", what, c.got, c.want)
		}
	}
}

func TestTheServicesOtherAnswersAreTheClients(t *testing.T) {
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://login.example")
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(302)
		_, _ = w.Write([]byte("go there"))
	})
	_, no := forwardTo(t, ForwardConfig{URL: s.URL}).Admit(requestWith(""))
	if no == nil || no.Status != 302 || no.Answer == nil || string(no.Answer.Body) != "go there" || no.Answer.Header.Get("Location") != "https://login.example" {
		t.Fatalf("got %+v", no)
	}
}

func TestWithoutTheServiceNobodyIsLetOn(t *testing.T) {
	hang := make(chan struct{})
	slow := newService(t, func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) })
	away := httptest.NewServer(nil)
	away.Close()
	for name, url := range map[string]string{"away": away.URL, "slow": slow.URL} {
		_, no := forwardTo(t, ForwardConfig{URL: url, Timeout: 50 * time.Millisecond}).Admit(requestWith(""))
		if no == nil || no.Status != http.StatusServiceUnavailable || no.Reason != "AUTH_UNAVAILABLE" {
			t.Errorf("%s: got %+v", name, no)
		}
	}
}

func TestQuestionsAtOnceAreBounded(t *testing.T) {
	var now, most atomic.Int64
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
	})
	g := forwardTo(t, ForwardConfig{URL: s.URL, AtOnce: 3})
	var done sync.WaitGroup
	for range 30 {
		done.Go(func() {
			if _, no := g.Admit(requestWith("")); no != nil {
				t.Error(no)
			}
		})
	}
	done.Wait()
	if got := most.Load(); got > 3 || got < 2 {
		t.Errorf("got %d at once, want 3 at most", got)
	}
}

func TestConsentIsRememberedForEqualRequestsOnly(t *testing.T) {
	allow := true
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		if !allow {
			w.WriteHeader(403)
		}
	})
	now := time.Now()
	g := forwardTo(t, ForwardConfig{URL: s.URL, CacheTTL: time.Minute, Now: func() time.Time { return now }})
	ask := func(change func(*http.Request)) error {
		r := httptest.NewRequest("GET", "/v1/stream/a?offset=1", nil)
		r.Header.Set("Cookie", "u=1")
		if change != nil {
			change(r)
		}
		if _, no := g.Admit(r); no != nil {
			return errors.New(no.Reason)
		}
		return nil
	}
	for i, c := range []struct {
		what   string
		change func(*http.Request)
		want   int
	}{
		{"first", nil, 1}, {"again", nil, 1},
		{"the next offset", func(r *http.Request) { r.URL.RawQuery = "offset=2&cursor=9" }, 1},
		{"another user", func(r *http.Request) { r.Header.Set("Cookie", "u=2") }, 2},
		{"another header", func(r *http.Request) { r.Header.Set("X-Api-Key", "k") }, 3},
		{"another stream", func(r *http.Request) { r.URL.Path = "/v1/stream/b" }, 4},
		{"another method", func(r *http.Request) { r.Method = "DELETE" }, 5},
		{"another query", func(r *http.Request) { r.URL.RawQuery = "offset=1&token=x" }, 6},
		{"a fork", func(r *http.Request) { r.Header.Set("Stream-Forked-From", "/v1/stream/b") }, 7},
		{"from elsewhere", func(r *http.Request) { r.RemoteAddr = "198.51.100.1:1" }, 8},
		{"after its time", func(*http.Request) { now = now.Add(2 * time.Minute) }, 9},
	} {
		if err := ask(c.change); err != nil || s.count() != c.want {
			t.Fatalf("%d, %s: asked %d times, want %d (%v)", i, c.what, s.count(), c.want, err)
		}
	}
	allow = false
	for range 2 { // a refusal is not remembered
		if err := ask(func(r *http.Request) { r.Header.Set("Cookie", "u=3") }); err == nil {
			t.Fatal("let on")
		}
	}
	if s.count() != 11 {
		t.Errorf("asked %d times, want 11", s.count())
	}
}

func TestACredentialOfOursIsNotForwarded(t *testing.T) {
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {})
	g := forwardTo(t, ForwardConfig{URL: s.URL})
	key, entry, err := NewEntry("app", []string{"read"}, []string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	if g.Keys, err = OpenKeys(KeysConfig{Path: write(t, "keys.toml", entry)}); err != nil {
		t.Fatal(err)
	}
	id, no := g.Admit(requestWith("Bearer " + key))
	if no != nil || id.May(Append, "x") || s.count() != 0 {
		t.Fatalf("%v; asked %d times", no, s.count())
	}
	if _, no := g.Admit(requestWith("Bearer of another kind")); no != nil || s.count() != 1 {
		t.Fatalf("a foreign credential: %v; asked %d times", no, s.count())
	}
}
