package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// Proxy sends each request to the next of its targets in turn, with the path
// and the Host header as the client sent them.
type Proxy struct {
	URL string

	hosts    []string
	requests atomic.Int64
	failures atomic.Int64 // requests a target did not answer, though the client waited
	last     atomic.Value // string, the last failure
}

// StartProxy serves a proxy until the test ends.
func StartProxy(t testing.TB, targets []string) *Proxy {
	t.Helper()
	p := &Proxy{}
	for _, target := range targets {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		p.hosts = append(p.hosts, u.Host)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.URL = "http://" + l.Addr().String()
	quiet := log.New(io.Discard, "", 0) // a client that leaves in mid-stream is no news
	server := &http.Server{ErrorLog: quiet, Handler: &httputil.ReverseProxy{
		Rewrite:       p.rewrite,
		FlushInterval: -1,
		ErrorHandler:  p.failed,
		ErrorLog:      quiet,
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("proxy: %v", err)
		}
	}()
	t.Cleanup(func() {
		server.Close() // live readers may still hang on it
		<-done
	})
	return p
}

func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	next := p.requests.Add(1)
	r.Out.URL.Scheme = "http"
	r.Out.URL.Host = p.hosts[next%int64(len(p.hosts))]
	r.Out.Host = r.In.Host
}

func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil && !errors.Is(err, context.Canceled) {
		p.failures.Add(1)
		p.last.Store(fmt.Sprintf("%s %s: %v", r.Method, r.URL, err))
	}
	w.WriteHeader(http.StatusBadGateway)
}

// Requests tells how many requests came.
func (p *Proxy) Requests() int64 { return p.requests.Load() }

// Err is nil when each request that a client waited for was answered.
func (p *Proxy) Err() error {
	if n := p.failures.Load(); n > 0 {
		return fmt.Errorf("%d requests were not answered by a node, the last: %v", n, p.last.Load())
	}
	return nil
}
