package harness

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// readsMax bounds a walk that does not come to the tail.
const readsMax = 10_000

// LocalReads asks a node to answer from its own copy without asking the leader.
func LocalReads() http.Header { return Headers("Stream-Read-Consistency", "local") }

// Read sends one catch-up GET from an offset.
func (c *Client) Read(name, offset string, h http.Header) (Answer, error) {
	return c.Get(StreamPath(name)+"?offset="+url.QueryEscape(offset), h)
}

// LongPoll sends one long-poll GET from an offset.
func (c *Client) LongPoll(name, offset string) (Answer, error) {
	return c.LongPollUntil(context.Background(), name, offset)
}

// LongPollUntil is LongPoll, given up when ctx ends.
func (c *Client) LongPollUntil(ctx context.Context, name, offset string) (Answer, error) {
	return c.Do(ctx, http.MethodGet, StreamPath(name)+"?live=long-poll&offset="+url.QueryEscape(offset), nil, nil)
}

// Content is a stream from one offset to its tail.
type Content struct {
	Chunks [][]byte
	Next   string // the tail
	Closed bool
	Reads  int
}

// Bytes joins the chunks of a stream that is not JSON.
func (c Content) Bytes() []byte { return bytes.Join(c.Chunks, nil) }

// JSON joins the arrays of a JSON stream into one.
func (c Content) JSON() []byte {
	var parts [][]byte
	for _, chunk := range c.Chunks {
		inner := bytes.TrimSuffix(bytes.TrimPrefix(bytes.TrimSpace(chunk), []byte("[")), []byte("]"))
		if len(bytes.TrimSpace(inner)) > 0 {
			parts = append(parts, inner)
		}
	}
	return []byte("[" + string(bytes.Join(parts, []byte(","))) + "]")
}

// ReadAll follows Stream-Next-Offset from an offset to the tail.
func (c *Client) ReadAll(name, from string, h http.Header) (Content, error) {
	content := Content{Next: from}
	local := h.Get("Stream-Read-Consistency") == "local"
	for content.Reads < readsMax {
		a, err := c.Read(name, content.Next, h)
		switch {
		case err != nil:
			return content, err
		case a.Status != http.StatusOK:
			return content, fmt.Errorf("read %s from %s: %s", name, content.Next, a)
		case a.Next() == "":
			return content, fmt.Errorf("read %s from %s: no Stream-Next-Offset", name, content.Next)
		}
		content.Reads++
		content.Chunks = append(content.Chunks, a.Body)
		// A local answer may not say that it is current: it ends where nothing follows.
		end := a.UpToDate() || local && a.Next() == content.Next
		if !end && a.Next() == content.Next {
			return content, fmt.Errorf("read %s from %s: neither progress nor up to date", name, content.Next)
		}
		if strings.Compare(a.Next(), content.Next) < 0 && strings.Contains(content.Next, "_") {
			return content, fmt.Errorf("read %s: offset went back from %s to %s", name, content.Next, a.Next())
		}
		content.Next, content.Closed = a.Next(), a.Closed()
		if end {
			return content, nil
		}
	}
	return content, fmt.Errorf("read %s from %s: no tail after %d reads", name, from, readsMax)
}
