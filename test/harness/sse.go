package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Event is one server-sent event.
type Event struct {
	Name string
	Data string
}

// Control is the data of a control event.
type Control struct {
	Next     string `json:"streamNextOffset"`
	Cursor   string `json:"streamCursor"`
	UpToDate bool   `json:"upToDate"`
	Closed   bool   `json:"streamClosed"`
}

// Control decodes a control event.
func (e Event) Control() (Control, error) {
	var c Control
	if e.Name != "control" {
		return c, fmt.Errorf("event %q is no control event", e.Name)
	}
	err := json.Unmarshal([]byte(e.Data), &c)
	return c, err
}

// Tail is an open SSE reader.
type Tail struct {
	res    *http.Response
	lines  *bufio.Reader
	cancel context.CancelFunc
}

// Tail opens an SSE read at an offset. The caller closes it.
func (c *Client) Tail(ctx context.Context, name, offset string) (*Tail, error) {
	ctx, cancel := context.WithCancel(ctx)
	res, err := c.open(ctx, http.MethodGet, StreamPath(name)+"?live=sse&offset="+url.QueryEscape(offset), nil, nil)
	if err != nil {
		cancel()
		return nil, err
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		body, _ := io.ReadAll(io.LimitReader(res.Body, bodyShown)) // only shown
		res.Body.Close()                                           // given up
		cancel()
		refused := &Refused{Answer{Status: res.StatusCode, Header: res.Header, Body: body}}
		return nil, fmt.Errorf("tail %s from %s: %w", name, offset, refused)
	}
	return &Tail{res: res, lines: bufio.NewReader(res.Body), cancel: cancel}, nil
}

// Next returns the next event. io.EOF means that the server ended the
// connection cleanly between two events.
func (t *Tail) Next() (Event, error) {
	var e Event
	var data []string
	begun := false
	for {
		line, err := t.lines.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" && !begun {
			return Event{}, io.EOF
		}
		if err != nil {
			return Event{}, fmt.Errorf("cut off within an event at %q: %w", line, errors.Join(err, io.ErrUnexpectedEOF))
		}
		line = strings.TrimRight(line, "\r\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && begun:
			e.Data = strings.Join(data, "\n")
			return e, nil
		case line == "" || field == "": // nothing, or a comment
		case field == "event":
			e.Name, begun = value, true
		case field == "data":
			data, begun = append(data, value), true
		default:
			return Event{}, fmt.Errorf("unknown field in line %q", line)
		}
	}
}

// Close leaves the reader.
func (t *Tail) Close() {
	t.cancel()
	t.res.Body.Close() // given up
}
