package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mainstem/stream"
)

// Start is the offset before all that a stream holds, and Now that of its end.
const (
	Start = "-1"
	Now   = "now"
)

// Info is what a server says of a stream without its content.
type Info struct {
	Name        string `json:"name"`
	ContentType string `json:"content_type"`
	Next        string `json:"next_offset"`
	Closed      bool   `json:"closed"`
	TTL         string `json:"ttl_seconds,omitempty"`
	ExpiresAt   string `json:"expires_at,omitempty"`
	ETag        string `json:"etag,omitempty"`

	RetentionBytes string `json:"retention_bytes,omitempty"`
	RetentionAge   string `json:"retention_age_seconds,omitempty"`
	Horizon        string `json:"horizon,omitempty"` // of one that was trimmed: where it begins
}

// path is a stream's name as it stands in a URL.
func path(name string) (string, error) {
	n, err := stream.ParseName(name)
	if err != nil {
		return "", err
	}
	return string(n), nil
}

func infoOf(name string, h http.Header) Info {
	return Info{Name: name, ContentType: h.Get("Content-Type"), Next: h.Get("Stream-Next-Offset"), Closed: isTrue(h.Get("Stream-Closed")),
		TTL: h.Get("Stream-TTL"), ExpiresAt: h.Get("Stream-Expires-At"), ETag: h.Get("ETag"),
		RetentionBytes: h.Get("Stream-Retention-Bytes"), RetentionAge: h.Get("Stream-Retention-Age"), Horizon: h.Get("Stream-Retention-Horizon")}
}

func isTrue(s string) bool { return s == "true" || s == "TRUE" || s == "True" }

// Creation is what a new stream is to be.
type Creation struct {
	ContentType string
	TTL         time.Duration // whole seconds; 0 for none
	ExpiresAt   time.Time     // zero for none
	Closed      bool
	Body        []byte
	Source      string // of a fork: the name of a stream on this server; "" for none
	Offset      string // of a fork: where it leaves its source; "" for the end
	SubOffset   string // of a fork: messages or bytes after Offset; "" for none

	RetentionBytes int64         // of the newest data that is kept at least; 0 for all
	RetentionAge   time.Duration // how old data may become, in whole seconds; 0 for any
}

// Create makes a stream, or finds that it is there already and the same.
func (c *Client) Create(ctx context.Context, name string, with Creation) (info Info, created bool, err error) {
	p, err := path(name)
	if err != nil {
		return Info{}, false, err
	}
	h := http.Header{}
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	set("Content-Type", with.ContentType)
	if with.TTL > 0 {
		set("Stream-TTL", strconv.FormatInt(int64(with.TTL/time.Second), 10))
	}
	if !with.ExpiresAt.IsZero() {
		set("Stream-Expires-At", with.ExpiresAt.UTC().Format(time.RFC3339Nano))
	}
	if with.RetentionBytes > 0 {
		set("Stream-Retention-Bytes", strconv.FormatInt(with.RetentionBytes, 10))
	}
	if with.RetentionAge > 0 {
		set("Stream-Retention-Age", strconv.FormatInt(int64(with.RetentionAge/time.Second), 10))
	}
	if with.Closed {
		set("Stream-Closed", "true")
	}
	if with.Source != "" {
		source, err := c.sourcePath(with.Source)
		if err != nil {
			return Info{}, false, err
		}
		set("Stream-Forked-From", source)
		set("Stream-Fork-Offset", with.Offset)
		set("Stream-Fork-Sub-Offset", with.SubOffset)
	}
	res, err := c.do(ctx, request{method: http.MethodPut, stream: p, header: h, body: with.Body, again: true})
	if err != nil {
		return Info{}, false, err
	}
	defer res.Body.Close()
	return infoOf(name, res.Header), res.StatusCode == http.StatusCreated, nil
}

// sourcePath is a fork's source as the protocol names it: the path of its URL.
func (c *Client) sourcePath(name string) (string, error) {
	p, err := path(name)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(c.base + p)
	if err != nil {
		return "", err
	}
	return u.EscapedPath(), nil
}

// Producer makes an append that can be sent again without writing twice.
type Producer struct {
	ID         string
	Epoch, Seq uint64
}

// Append is what to add to a stream.
type Append struct {
	ContentType string
	Body        []byte
	Seq         string    // Stream-Seq; "" for none
	Producer    *Producer // nil for none
	Close       bool      // after it; with an empty body only that
	IfMatch     string    // the offset where the stream must end, Start for an empty one; "" for any
}

// Append adds to a stream and returns the offset after it. duplicate tells that
// the producer had sent it before.
func (c *Client) Append(ctx context.Context, name string, a Append) (next string, duplicate bool, err error) {
	p, err := path(name)
	if err != nil {
		return "", false, err
	}
	h := http.Header{}
	if a.ContentType != "" {
		h.Set("Content-Type", a.ContentType)
	}
	if a.Seq != "" {
		h.Set("Stream-Seq", a.Seq)
	}
	if a.Producer != nil {
		h.Set("Producer-Id", a.Producer.ID)
		h.Set("Producer-Epoch", strconv.FormatUint(a.Producer.Epoch, 10))
		h.Set("Producer-Seq", strconv.FormatUint(a.Producer.Seq, 10))
	}
	if a.IfMatch != "" {
		h.Set("If-Match", strconv.Quote(a.IfMatch))
	}
	if a.Close {
		h.Set("Stream-Closed", "true")
	}
	closeOnly := a.Close && len(a.Body) == 0 // to close twice is to close once
	res, err := c.do(ctx, request{method: http.MethodPost, stream: p, header: h, body: a.Body, again: a.Producer != nil || closeOnly})
	if err != nil {
		return "", false, err
	}
	defer res.Body.Close()
	return res.Header.Get("Stream-Next-Offset"), a.Producer != nil && res.StatusCode == http.StatusNoContent && !a.Close, nil
}

// Head tells of a stream without reading it.
func (c *Client) Head(ctx context.Context, name string) (Info, error) {
	p, err := path(name)
	if err != nil {
		return Info{}, err
	}
	res, err := c.do(ctx, request{method: http.MethodHead, stream: p, again: true})
	if err != nil {
		return Info{}, err
	}
	res.Body.Close()
	return infoOf(name, res.Header), nil
}

// Delete removes a stream. One that is not there any more is an error only if
// it was not there at the first try.
func (c *Client) Delete(ctx context.Context, name string) error {
	p, err := path(name)
	if err != nil {
		return err
	}
	res, err := c.do(ctx, request{method: http.MethodDelete, stream: p, again: true})
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// Trim lets all go that a stream holds before an offset, and returns where it
// begins now. Only Mainstem trims.
func (c *Client) Trim(ctx context.Context, name, offset string) (Info, error) {
	p, err := path(name)
	if err != nil {
		return Info{}, err
	}
	h := http.Header{"Stream-Retention-Horizon": {offset}}
	res, err := c.do(ctx, request{method: http.MethodPatch, stream: p, header: h, again: true})
	if err != nil {
		return Info{}, err
	}
	return infoOf(name, res.Header), res.Body.Close()
}

// Chunk is one answer to a read.
type Chunk struct {
	Body        []byte
	ContentType string
	Next        string
	UpToDate    bool // nothing follows yet
	Closed      bool // nothing will follow
	Cursor      string
}

// Read returns what follows an offset: one chunk of it. With live it waits for
// something to follow, as long as the server lets it.
func (c *Client) Read(ctx context.Context, name, offset, cursor string, live bool) (Chunk, error) {
	p, err := path(name)
	if err != nil {
		return Chunk{}, err
	}
	query := "offset=" + url.QueryEscape(offset)
	if live {
		query += "&live=long-poll"
		if cursor != "" {
			query += "&cursor=" + url.QueryEscape(cursor)
		}
	}
	res, err := c.do(ctx, request{method: http.MethodGet, stream: p, query: query, again: true})
	if err != nil {
		return Chunk{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return Chunk{}, &brokenOffError{err}
	}
	h := res.Header
	out := Chunk{Body: body, ContentType: h.Get("Content-Type"), Next: h.Get("Stream-Next-Offset"), Cursor: h.Get("Stream-Cursor"),
		UpToDate: isTrue(h.Get("Stream-Up-To-Date")) || res.StatusCode == http.StatusNoContent, Closed: isTrue(h.Get("Stream-Closed"))}
	if out.Next == "" {
		return Chunk{}, fmt.Errorf("%s %s: the answer has no Stream-Next-Offset: is this a server of the protocol?", res.Request.Method, res.Request.URL.Redacted())
	}
	return out, nil
}

// brokenOffError is an answer that ended before it was complete.
type brokenOffError struct{ err error }

func (e *brokenOffError) Error() string { return "the answer broke off: " + e.err.Error() }
func (e *brokenOffError) Unwrap() error { return e.err }

// Follow hands all that follows an offset to take, chunk by chunk, each once and
// in order, and with live goes on until ctx ends, the stream is closed, or take
// returns an error. A chunk that breaks off is read again from its start.
func (c *Client) Follow(ctx context.Context, name, offset string, live bool, take func(Chunk) error) error {
	cursor, waiting := "", live && offset == Now
	progress := time.Now()
	for {
		chunk, err := c.Read(ctx, name, offset, cursor, waiting)
		var broken *brokenOffError
		if errors.As(err, &broken) && ctx.Err() == nil && time.Since(progress) < c.cfg.Patience {
			time.Sleep(pauseFirst)
			continue
		}
		if err != nil {
			return err
		}
		if err := take(chunk); err != nil {
			return err
		}
		if chunk.Closed || chunk.UpToDate && !live {
			return nil
		}
		waiting = waiting || chunk.UpToDate
		offset, cursor, progress = chunk.Next, chunk.Cursor, time.Now()
	}
}
