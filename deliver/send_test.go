package deliver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// target starts a receiver on loopback and counts its connections.
func target(t *testing.T, start func(*httptest.Server), handle http.HandlerFunc) (server *httptest.Server, connections *atomic.Int64) {
	t.Helper()
	connections = new(atomic.Int64)
	server = httptest.NewUnstartedServer(handle)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(server)
	t.Cleanup(server.Close)
	return server, connections
}

func portOf(t *testing.T, server *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

func anyAddress(netip.Addr) error { return nil }

// A name that is taken for its looks, and leads here when it is dialled, must not
// reach this machine: not at the first time, and not after it led elsewhere.
func TestNamesThatLeadInsideAreRefusedWhenDialled(t *testing.T) {
	server, connections := target(t, (*httptest.Server).StartTLS, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"done":true}`))
	})
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	names := serveNames("127.0.0.1")
	cfg := Config{AllowInsecure: true, Resolver: names.resolver(t), TLS: &tls.Config{RootCAs: roots}}.withDefaults()
	s := newPoster(cfg)
	raw := "https://example.com:" + portOf(t, server) + "/hooks"
	for what, addresses := range map[string][]string{
		"loopback":          {"127.0.0.1"},
		"IPv6 loopback":     {"::1"},
		"unspecified":       {"0.0.0.0"},
		"mapped":            {"::ffff:127.0.0.1"},
		"metadata":          {"169.254.169.254"},
		"private":           {"10.0.0.1"},
		"unique local":      {"fd00::1"},
		"several, all bad":  {"10.0.0.1", "127.0.0.1", "::1"},
		"loopback in 127/8": {"127.0.0.53"},
	} {
		names.answer(addresses...)
		before := names.asked.Load()
		how, err := s.send(t.Context(), raw, nil, "")
		if how != resultAddress {
			t.Errorf("%s: %s (%v), want %s", what, how, err, resultAddress)
		}
		if names.asked.Load() == before {
			t.Errorf("%s: the name was not looked up", what)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Fatalf("the receiver saw %d connections, want none", n)
	}
	// The same request passes when the check does, so it was the check that held.
	s.https = newClient(cfg, anyAddress)
	names.answer("127.0.0.1")
	if how, err := s.send(t.Context(), raw, nil, ""); how != resultDone {
		t.Fatalf("without the check: %s (%v), want %s", how, err, resultDone)
	}
	// Rebinding: the next connection is checked anew, with what the name says then.
	s.https = newClient(cfg, checkPublic)
	if how, _ := s.send(t.Context(), raw, nil, ""); how != resultAddress {
		t.Fatalf("after rebinding: %s, want %s", how, resultAddress)
	}
	if n := connections.Load(); n != 1 {
		t.Fatalf("the receiver saw %d connections, want the one without the check", n)
	}
}

func TestPlainHTTPDoesNotLeaveTheMachineByAName(t *testing.T) {
	server, connections := target(t, (*httptest.Server).Start, func(http.ResponseWriter, *http.Request) {})
	names := serveNames("10.0.0.1")
	s := newPoster(Config{AllowInsecure: true, Resolver: names.resolver(t)}.withDefaults())
	// "localhost" is looked up in the hosts file first, so a name server cannot move it.
	if how, err := s.send(t.Context(), "http://localhost:"+portOf(t, server)+"/", nil, ""); how != resultAccepted {
		t.Errorf("localhost: %s (%v), want %s", how, err, resultAccepted)
	}
	s.allowInsecure = false
	if how, _ := s.send(t.Context(), server.URL, nil, ""); how != resultAddress {
		t.Errorf("after the exception was withdrawn: %s, want %s", how, resultAddress)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("the receiver saw %d connections, want 1", n)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	_, inside := target(t, (*httptest.Server).Start, func(http.ResponseWriter, *http.Request) {})
	other, elsewhere := target(t, (*httptest.Server).Start, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"done":true}`))
	})
	server, _ := target(t, (*httptest.Server).Start, func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		w.Header().Set("Location", other.URL+"/latest/meta-data")
		w.WriteHeader(code)
	})
	s := newPoster(Config{AllowInsecure: true}.withDefaults())
	for _, code := range []int{301, 302, 303, 307, 308} {
		if how, err := s.send(t.Context(), server.URL+"/"+strconv.Itoa(code), []byte("{}"), ""); how != resultStatus {
			t.Errorf("%d: %s (%v), want %s", code, how, err, resultStatus)
		}
	}
	if n := elsewhere.Load() + inside.Load(); n != 0 {
		t.Fatalf("%d redirects were followed", n)
	}
}

func TestNoProxyOfTheEnvironmentIsUsed(t *testing.T) {
	s := newPoster(Config{}.withDefaults())
	for _, client := range []*http.Client{s.https, s.http} {
		if client.Transport.(*http.Transport).Proxy != nil {
			t.Fatal("a proxy would be dialled in place of the target, and dial for us")
		}
	}
}

func TestAnswersAreUnderstood(t *testing.T) {
	type answer struct {
		code int
		body string
		want result
	}
	for what, a := range map[string]answer{
		"done":             {200, `{"done":true}`, resultDone},
		"done, created":    {201, ` {"done": true, "more": [1]} `, resultDone},
		"not done":         {200, `{"done":false}`, resultAccepted},
		"a string":         {200, `{"done":"true"}`, resultAccepted},
		"a number":         {200, `{"done":1}`, resultAccepted},
		"a list":           {200, `[true]`, resultAccepted},
		"empty":            {202, ``, resultAccepted},
		"no content":       {204, ``, resultAccepted},
		"text":             {200, `ok`, resultAccepted},
		"cut JSON":         {200, `{"done":true`, resultAccepted},
		"done and trash":   {200, `{"done":true}x`, resultAccepted},
		"very long":        {200, `{"pad":"` + strings.Repeat("x", answerBytesMax) + `","done":true}`, resultAccepted},
		"client error":     {404, `{"done":true}`, resultStatus},
		"gone":             {410, ``, resultStatus},
		"server error":     {500, `{"done":true}`, resultStatus},
		"too many":         {429, ``, resultStatus},
		"not modified":     {304, ``, resultStatus},
		"multiple choices": {300, ``, resultStatus},
	} {
		server, _ := target(t, (*httptest.Server).Start, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(a.code)
			_, _ = io.WriteString(w, a.body)
		})
		s := newPoster(Config{AllowInsecure: true}.withDefaults())
		if how, err := s.send(t.Context(), server.URL, []byte(`{}`), "x"); how != a.want {
			t.Errorf("%s: %s (%v), want %s", what, how, err, a.want)
		}
	}
}

// An answer without an end must not be read without an end.
func TestEndlessAnswerIsCut(t *testing.T) {
	wrote := make(chan int, 1)
	server, _ := target(t, (*httptest.Server).Start, func(w http.ResponseWriter, r *http.Request) {
		n, chunk := 0, []byte(strings.Repeat("x", 64<<10))
		for r.Context().Err() == nil && n < 1<<30 {
			m, err := w.Write(chunk)
			if n += m; err != nil {
				break
			}
		}
		wrote <- n
	})
	s := newPoster(Config{AllowInsecure: true}.withDefaults())
	if how, err := s.send(t.Context(), server.URL, nil, ""); how != resultAccepted {
		t.Fatalf("%s (%v), want %s", how, err, resultAccepted)
	}
	if n := <-wrote; n >= 64<<20 {
		t.Errorf("the receiver could write %d bytes", n)
	}
}

func TestReceiversThatDoNotAnswer(t *testing.T) {
	leave := make(chan struct{})
	silent, _ := target(t, (*httptest.Server).Start, func(http.ResponseWriter, *http.Request) { <-leave })
	stalled, _ := target(t, (*httptest.Server).Start, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		<-leave
	})
	t.Cleanup(func() { close(leave) })
	gone, _ := target(t, (*httptest.Server).Start, func(http.ResponseWriter, *http.Request) {})
	gone.Close()
	broken, _ := target(t, (*httptest.Server).Start, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	})
	s := newPoster(Config{AllowInsecure: true}.withDefaults())
	for what, c := range map[string]struct {
		url  string
		want result
	}{
		"silent":         {silent.URL, resultTimeout},
		"stalled answer": {stalled.URL, resultTimeout},
		"no listener":    {gone.URL, resultBroken},
		"hangs up":       {broken.URL, resultBroken},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		how, err := s.send(ctx, c.url+"/path/with/secret", nil, "")
		cancel()
		if how != c.want {
			t.Errorf("%s: %s (%v), want %s", what, how, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %q repeats the path", what, err)
		}
	}
}

func TestCertificatesAreVerified(t *testing.T) {
	server, _ := target(t, (*httptest.Server).StartTLS, func(http.ResponseWriter, *http.Request) {
		t.Error("a request was sent over a connection of an unknown authority")
	})
	cfg := Config{Resolver: serveNames("127.0.0.1").resolver(t)}.withDefaults()
	s := newPoster(cfg)
	s.https = newClient(cfg, anyAddress)
	if how, err := s.send(t.Context(), "https://example.com:"+portOf(t, server), nil, ""); how != resultBroken {
		t.Fatalf("%s (%v), want %s", how, err, resultBroken)
	}
}

func TestTargetsAreCountedByOrigin(t *testing.T) {
	for raw, want := range map[string]string{
		"https://A.example.com/x":      "https://a.example.com:443",
		"https://a.example.com:443/y":  "https://a.example.com:443",
		"https://a.example.com:8443/y": "https://a.example.com:8443",
		"http://127.0.0.1/":            "http://127.0.0.1:80",
		"https://[2606:4700::1]/":      "https://[2606:4700::1]:443",
	} {
		if got := targetOf(raw); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}
