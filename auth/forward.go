package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"
)

const (
	forwardBytesMax   = 64 << 10 // of an answer that is passed on
	forwardCacheMax   = 10_000   // decisions
	forwardTimeoutStd = 5 * time.Second
	forwardAtOnceStd  = 64
)

// ForwardConfig is the authorisation service that is asked about each request.
type ForwardConfig struct {
	URL         string        // asked with GET
	CopyHeaders []string      // taken over from a positive answer; those of the client's request are dropped
	Timeout     time.Duration // for an answer; 5 s
	AtOnce      int           // questions at once; others wait within the timeout; 64
	CacheTTL    time.Duration // how long a positive answer is good for equal requests; 0 for no cache
	Transport   http.RoundTripper
	Now         func() time.Time // time.Now
}

// decision is a positive answer that is still good.
type decision struct {
	copied http.Header
	until  time.Time
}

// Forward asks an authorisation service, with the meaning of Caddy's
// forward_auth: the service sees the method, the path, the query and all headers,
// and 2xx lets the request go on. Its other answers are the client's. If it
// cannot be asked the request is refused.
type Forward struct {
	cfg    ForwardConfig
	url    *url.URL
	client *http.Client
	slots  *semaphore.Weighted
	cache  *lru.Cache[[sha256.Size]byte, decision] // nil for none
}

// NewForward checks the configuration. It asks nothing yet.
func NewForward(cfg ForwardConfig) (*Forward, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not the URL of an authorisation service", cfg.URL)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = forwardTimeoutStd
	}
	if cfg.AtOnce == 0 {
		cfg.AtOnce = forwardAtOnceStd
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	f := &Forward{cfg: cfg, url: u, slots: semaphore.NewWeighted(int64(cfg.AtOnce))}
	f.client = &http.Client{
		Transport:     cfg.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a redirect is for the client
	}
	if cfg.CacheTTL > 0 {
		f.cache, err = lru.New[[sha256.Size]byte, decision](forwardCacheMax)
	}
	return f, err
}

// ask returns the service's decision. The request's headers are changed as it
// says.
func (f *Forward) ask(r *http.Request) (*Identity, *Refusal) {
	var key [sha256.Size]byte
	if f.cache != nil {
		key = cacheKey(r)
		if d, ok := f.cache.Get(key); ok && f.cfg.Now().Before(d.until) {
			return f.admit(r, d.copied), nil
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), f.cfg.Timeout)
	defer cancel()
	if err := f.slots.Acquire(ctx, 1); err != nil {
		return nil, closed(errors.New("too many questions wait for the authorisation service"))
	}
	defer f.slots.Release(1)
	res, err := f.client.Do(f.question(ctx, r))
	if err != nil {
		return nil, closed(err)
	}
	defer res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		body, err := io.ReadAll(io.LimitReader(res.Body, forwardBytesMax))
		if err != nil {
			return nil, closed(err)
		}
		return nil, &Refusal{Status: res.StatusCode, Reason: "AUTH_SERVICE", Detail: "the authorisation service refused", Answer: &Answer{endToEnd(res.Header), body}}
	}
	copied := http.Header{}
	for _, name := range f.cfg.CopyHeaders {
		name = http.CanonicalHeaderKey(name)
		if values := res.Header[name]; len(values) > 0 {
			copied[name] = values
		}
	}
	if f.cache != nil {
		f.cache.Add(key, decision{copied, f.cfg.Now().Add(f.cfg.CacheTTL)})
	}
	return f.admit(r, copied), nil
}

// closed is the refusal when the service cannot be asked.
func closed(err error) *Refusal {
	return &Refusal{Status: http.StatusServiceUnavailable, Reason: "AUTH_UNAVAILABLE", Cause: err,
		Detail: "the authorisation service could not be asked; nothing was read or written, try again"}
}

// admit lets a request on with the headers that the service set: what the client
// sent under these names is gone, whether or not the service set them.
func (f *Forward) admit(r *http.Request, copied http.Header) *Identity {
	for _, name := range f.cfg.CopyHeaders {
		name = http.CanonicalHeaderKey(name)
		r.Header.Del(name)
		if values, ok := copied[name]; ok {
			r.Header[name] = slices.Clone(values)
		}
	}
	return &Identity{Name: "authorisation service", all: true}
}

// question is the request to the service.
func (f *Forward) question(ctx context.Context, r *http.Request) *http.Request {
	u := *f.url
	if r.URL.RawQuery != "" {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+r.URL.RawQuery, "&")
	}
	h := endToEnd(r.Header)
	h.Del("Content-Length")
	h.Del("Forwarded")
	h.Del("Accept-Encoding") // the transport's own, which it undoes
	h.Set("X-Forwarded-Method", r.Method)
	h.Set("X-Forwarded-Uri", r.URL.RequestURI())
	h.Set("X-Forwarded-Host", r.Host)
	h.Set("X-Forwarded-Proto", scheme(r))
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		h.Set("X-Forwarded-For", host)
	}
	return (&http.Request{Method: http.MethodGet, URL: &u, Host: r.Host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// endToEnd is a copy of headers without those that are for one connection.
func endToEnd(h http.Header) http.Header {
	out := h.Clone()
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			out.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		out.Del(name)
	}
	return out
}

// indifferent are headers that change with each request of one client and on
// which no decision rests.
var indifferent = []string{"Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Connection", "Content-Length", "Content-Type", "If-None-Match",
	"Last-Event-Id", "Pragma", "Producer-Epoch", "Producer-Seq", "Stream-Seq", "Traceparent", "Tracestate", "User-Agent"}

// cacheKey tells requests apart that the service may decide differently about:
// by method, address, host, path and query but for the position in the stream,
// and all other headers.
func cacheKey(r *http.Request) [sha256.Size]byte {
	hash := sha256.New()
	part := func(s string) { fmt.Fprintf(hash, "%d:%s", len(s), s) }
	part(r.Method)
	part(r.Host)
	part(scheme(r))
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	part(host)
	part(r.URL.EscapedPath())
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if name, _, _ := strings.Cut(pair, "="); name != "offset" && name != "cursor" {
			part(pair)
		}
	}
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		if !slices.Contains(indifferent, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		part(name)
		for _, value := range r.Header[name] {
			part(value)
		}
		part("")
	}
	return [sha256.Size]byte(hash.Sum(nil))
}
