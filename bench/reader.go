package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"
)

// reader follows one stream live and checks that it gets each message once, in
// order. Its fields belong to its goroutine, but for seen.
type reader struct {
	fan            *fan
	number, stream int
	ready          chan struct{} // closed once it follows
	readyOnce      sync.Once
	seen           atomic.Uint64
	next           map[int]uint64 // by writer
	skipped        uint64
	doubled        uint64
	latency        *histogram
	offset, cursor string
}

// follow stays connected until the run ends.
func (r *reader) follow() {
	f := r.fan
	c := f.client(r.number)
	c.buffer = 4 << 10
	defer c.close()
	for f.stop.Err() == nil {
		var err error
		if f.Mode == ModeSSE {
			err = r.sse(c)
		} else {
			err = r.longPoll(c)
		}
		if err != nil && f.stop.Err() == nil {
			f.errors.add("reader: " + kind(err))
			time.Sleep(retryPause)
		}
	}
}

func (r *reader) isReady() { r.readyOnce.Do(func() { close(r.ready) }) }

// take checks what has arrived.
func (r *reader) take(data []byte) error {
	now, measuring := time.Now().UnixNano(), r.fan.measuring.Load()
	var n uint64
	_, err := r.fan.format.each(data, func(m message) {
		n++
		want := r.next[m.writer]
		if m.number < want {
			r.doubled++
			return
		}
		r.skipped += m.number - want
		r.next[m.writer] = m.number + 1
		if measuring {
			r.latency.record(time.Duration(now - m.sent))
		}
	})
	if measuring {
		r.fan.delivered.Add(n)
	}
	r.seen.Add(n)
	return err
}

// breakOff closes the connection when the run ends, since nothing else wakes a
// reader that waits.
func (r *reader) breakOff(c *client) (stop func() bool) {
	conn := c.conn
	return context.AfterFunc(r.fan.stop, func() { _ = conn.Close() })
}

// longPoll polls until something fails.
func (r *reader) longPoll(c *client) error {
	const pollTime = 90 * time.Second
	c.timeout = pollTime
	if err := c.dial(); err != nil {
		return err
	}
	defer c.close()
	defer r.breakOff(c)()
	for r.fan.stop.Err() == nil && c.conn != nil {
		query := "offset=" + r.offset
		if r.offset != "-1" { // the first answer tells the tail
			query += "&live=long-poll"
			if r.cursor != "" {
				query += "&cursor=" + r.cursor
			}
			r.isReady()
		}
		a, err := c.do("GET", r.fan.stream(r.stream), query, "", nil)
		if err != nil {
			return err
		}
		if a.status != 200 && a.status != 204 {
			return fmt.Errorf("status %d", a.status)
		}
		if err := r.take(c.body); err != nil {
			return err
		}
		if a.next != "" {
			r.offset = a.next
		}
		if a.cursor != "" {
			r.cursor = a.cursor
		}
	}
	return nil
}

// sse reads one event stream to its end.
func (r *reader) sse(c *client) error {
	query := "offset=" + r.offset + "&live=sse"
	if r.cursor != "" {
		query += "&cursor=" + r.cursor
	}
	a, err := c.begin("GET", r.fan.stream(r.stream), query, "Accept: text/event-stream\r\n", nil)
	if err != nil {
		return err
	}
	defer c.close()
	if a.status != 200 {
		return fmt.Errorf("status %d", a.status)
	}
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	defer r.breakOff(c)()
	in := c.in
	if a.chunked {
		in = bufio.NewReaderSize(httputil.NewChunkedReader(c.in), 4<<10)
	}
	r.isReady()
	err = r.events(in)
	if err == io.EOF {
		return nil // its end; the next connection goes on from there
	}
	return err
}

// events reads an event stream by the rules of the HTML standard.
func (r *reader) events(in *bufio.Reader) error {
	var kind string
	var data []byte
	for {
		line, err := readLine(in)
		if err != nil {
			return err
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			kind = string(value)
		case "data":
			if len(data) > 0 {
				data = append(data, '\n')
			}
			data = append(data, value...)
		case "":
			if len(line) > 0 { // a comment
				continue
			}
			if err := r.dispatch(kind, data); err != nil {
				return err
			}
			kind, data = "", data[:0]
		}
	}
}

// readLine reads a line of any length; it is valid until the next call.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		whole := append([]byte(nil), line...)
		for err == bufio.ErrBufferFull {
			line, err = in.ReadSlice('\n')
			whole = append(whole, line...)
		}
		line = whole
	}
	return bytes.TrimRight(line, "\r\n"), err
}

func (r *reader) dispatch(kind string, data []byte) error {
	switch kind {
	case "data":
		return r.take(data)
	case "control":
		return r.note(data)
	}
	return nil
}

// note keeps where to go on from. Most control events are not decoded: only the
// last one is ever needed, but which that is nobody knows before.
func (r *reader) note(data []byte) error {
	if next, ok := member(data, `"streamNextOffset":"`); ok {
		r.offset = next
		if cursor, ok := member(data, `"streamCursor":"`); ok {
			r.cursor = cursor
		}
		return nil
	}
	var c struct{ StreamNextOffset, StreamCursor string }
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("control event: %w", err)
	}
	if c.StreamNextOffset != "" {
		r.offset, r.cursor = c.StreamNextOffset, c.StreamCursor
	}
	return nil
}

// member finds a member of a JSON object that is written without spaces and whose
// value has no escapes.
func member(object []byte, name string) (string, bool) {
	i := bytes.Index(object, []byte(name))
	if i < 0 {
		return "", false
	}
	rest := object[i+len(name):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 || bytes.IndexByte(rest[:end], '\\') >= 0 {
		return "", false
	}
	return string(rest[:end]), true
}
