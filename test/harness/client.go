package harness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	requestTimeout = 15 * time.Second
	bodyShown      = 300
	baseStreamPath = "/v1/stream/"
)

// Client is a plain client of one base URL. It follows no redirect and tries
// nothing again. It is safe for concurrent use.
type Client struct {
	Base string // http://HOST:PORT
	http *http.Client
}

// Dial opens a connection to an address.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// NewClient returns a client with connections of its own.
func NewClient(base string) *Client { return NewClientVia(base, nil) }

// NewClientVia returns a client that opens its connections through dial, nil for
// the plain way.
func NewClientVia(base string, dial Dial) *Client {
	if dial == nil {
		dial = (&net.Dialer{Timeout: 2 * time.Second}).DialContext
	}
	return &Client{Base: base, http: &http.Client{
		Transport: &http.Transport{
			DialContext:         dial,
			MaxIdleConnsPerHost: 128,
			IdleConnTimeout:     30 * time.Second,
			DisableCompression:  true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// CloseIdle closes the connections no request uses.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// Answer is a whole response.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	Last   bool // the server said Connection: close, which net/http takes out of Header
}

// String tells an answer in one line.
func (a Answer) String() string {
	body := a.Body
	if len(body) > bodyShown {
		body = append(bytes.Clone(body[:bodyShown]), "…"...)
	}
	return fmt.Sprintf("%d %v %q", a.Status, a.Header, body)
}

// Refused is an answer that was not what a caller needed.
type Refused struct{ Answer Answer }

func (r *Refused) Error() string { return "answered " + r.Answer.String() }

// Next is the offset from which to go on.
func (a Answer) Next() string { return a.Header.Get("Stream-Next-Offset") }

// UpToDate tells whether the answer reached the tail.
func (a Answer) UpToDate() bool { return a.Header.Get("Stream-Up-To-Date") == "true" }

// Closed tells whether the answer says that the stream has ended.
func (a Answer) Closed() bool { return a.Header.Get("Stream-Closed") == "true" }

// Headers makes a header from names and values in turn.
func Headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// Do sends one request; target is the escaped path and query, sent as it is.
func (c *Client) Do(ctx context.Context, method, target string, h http.Header, body io.Reader) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := c.open(ctx, method, target, h, body)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close() // read to its end, or given up
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("%s %s: read body after %d: %w", method, target, res.StatusCode, err)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: data, Last: res.Close}, nil
}

func (c *Client) open(ctx context.Context, method, target string, h http.Header, body io.Reader) (*http.Response, error) {
	u, err := url.Parse(c.Base + target)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base, body)
	if err != nil {
		return nil, err
	}
	req.URL = u
	for k, v := range h {
		req.Header[k] = v
	}
	return c.http.Do(req)
}

// Get sends a GET.
func (c *Client) Get(target string, h http.Header) (Answer, error) {
	return c.Do(context.Background(), http.MethodGet, target, h, nil)
}

// StreamPath is the target of a stream; name is already escaped.
func StreamPath(name string) string { return baseStreamPath + name }

// Create sends a PUT for a stream.
func (c *Client) Create(name string, h http.Header, body string) (Answer, error) {
	return c.send(http.MethodPut, name, h, body)
}

// Append sends a POST for a stream.
func (c *Client) Append(name string, h http.Header, body string) (Answer, error) {
	return c.send(http.MethodPost, name, h, body)
}

// Delete sends a DELETE for a stream.
func (c *Client) Delete(name string) (Answer, error) {
	return c.send(http.MethodDelete, name, nil, "")
}

// Head sends a HEAD for a stream.
func (c *Client) Head(name string, h http.Header) (Answer, error) {
	return c.send(http.MethodHead, name, h, "")
}

func (c *Client) send(method, name string, h http.Header, body string) (Answer, error) {
	var r io.Reader
	if body != "" {
		r = bytes.NewReader([]byte(body))
	}
	return c.Do(context.Background(), method, StreamPath(name), h, r)
}
