package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	patienceStd   = 30 * time.Second
	pauseFirst    = 100 * time.Millisecond
	pauseMost     = 5 * time.Second
	problemMax    = 64 << 10 // bytes of an error's body that are read
	headerTimeout = 90 * time.Second
)

// Config says where the streams are.
type Config struct {
	Base     string        // URL below which streams live, such as http://127.0.0.1:4437/v1/stream
	Auth     string        // value of Authorization; "" for none
	Patience time.Duration // for how long a request is tried again; 30 s; negative for one try
	HTTP     *http.Client  // one that waits long enough for a long-poll
}

// Client is for many goroutines.
type Client struct {
	cfg  Config
	base string
}

// New checks the configuration and asks nothing.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.Base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not the URL below which streams live, such as http://127.0.0.1:4437/v1/stream", cfg.Base)
	}
	if cfg.Patience == 0 {
		cfg.Patience = patienceStd
	}
	if cfg.HTTP == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = headerTimeout
		cfg.HTTP = &http.Client{Transport: t}
	}
	return &Client{cfg: cfg, base: strings.TrimSuffix(cfg.Base, "/") + "/"}, nil
}

// request is one that can be sent again.
type request struct {
	method, stream, query string
	target                string // the whole URL, of what is no stream
	header                http.Header
	body                  []byte
	again                 bool // whether a request that may have been carried out can be sent again
}

// do sends a request until it is answered by something else than "later". A
// status of 400 and above is a *Problem. The caller closes the body.
func (c *Client) do(ctx context.Context, q request) (*http.Response, error) {
	pause, end := pauseFirst, time.Now().Add(c.cfg.Patience)
	for {
		res, err := c.send(ctx, q)
		if err == nil {
			return res, nil
		}
		wait, again := q.worthRepeating(err, pause)
		if !again || ctx.Err() != nil || time.Now().Add(wait).After(end) {
			return nil, q.explain(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil, q.explain(ctx, err)
		case <-time.After(wait):
		}
		pause = min(2*pause, pauseMost)
	}
}

func (c *Client) send(ctx context.Context, q request) (*http.Response, error) {
	target := q.target
	if target == "" {
		target = c.base + q.stream
	}
	if q.query != "" {
		target += "?" + q.query
	}
	req, err := http.NewRequestWithContext(ctx, q.method, target, strings.NewReader(string(q.body)))
	if err != nil {
		return nil, err
	}
	if len(q.body) == 0 {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	for name, values := range q.header {
		req.Header[name] = values
	}
	if c.cfg.Auth != "" {
		req.Header.Set("Authorization", c.cfg.Auth)
	}
	res, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= http.StatusMultipleChoices && res.StatusCode != http.StatusNotModified {
		defer res.Body.Close()
		return nil, readProblem(res)
	}
	return res, nil
}

// worthRepeating tells whether the error may pass, and how long to wait.
func (q request) worthRepeating(err error, pause time.Duration) (time.Duration, bool) {
	pause += time.Duration(rand.Int64N(int64(pause)))
	var p *Problem
	if errors.As(err, &p) {
		if p.RetryAfter > 0 {
			pause = max(pause, p.RetryAfter)
		}
		switch {
		case p.Status == http.StatusTooManyRequests:
			return pause, true
		case p.Status == http.StatusServiceUnavailable:
			return pause, q.again || p.Reason != "" && p.Reason != "OUTCOME_UNKNOWN"
		case p.Status >= http.StatusInternalServerError && p.Status != http.StatusNotImplemented && p.Status != http.StatusInsufficientStorage:
			return pause, q.again
		}
		return 0, false
	}
	return pause, q.again || neverSent(err)
}

// neverSent tells of errors before any of the request was sent.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &op) && op.Op == "dial"
}

// ErrOutcomeUnknown is in the errors of appends that may or may not have been
// carried out.
var ErrOutcomeUnknown = errors.New("outcome unknown: it may or may not have been written; read before you repeat it, or use a producer")

// explain adds to an error what it means for a request that changes something.
func (q request) explain(ctx context.Context, err error) error {
	var p *Problem
	refused := errors.As(err, &p) && (p.Status < http.StatusInternalServerError || p.Status == http.StatusInsufficientStorage ||
		p.Status == http.StatusServiceUnavailable && p.Reason != "" && p.Reason != "OUTCOME_UNKNOWN")
	if q.method == http.MethodPost && !q.again && !refused && !neverSent(err) {
		return errors.Join(err, ErrOutcomeUnknown)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// Problem is an answer of the server that is no success.
type Problem struct {
	Status     int
	Code       string        // of the problem document; "" for none
	Reason     string        // finer than the code
	Detail     string        // for people
	RetryAfter time.Duration // 0 for none
	Header     http.Header
}

func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = http.StatusText(p.Status)
	}
	if p.Reason != "" {
		return fmt.Sprintf("%d %s: %s", p.Status, p.Reason, text)
	}
	return fmt.Sprintf("%d: %s", p.Status, text)
}

func readProblem(res *http.Response) *Problem {
	p := &Problem{Status: res.StatusCode, Header: res.Header}
	if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 {
		p.RetryAfter = time.Duration(n) * time.Second
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, problemMax))
	if err != nil {
		return p
	}
	p.parse(res.Header.Get("Content-Type"), body)
	return p
}
