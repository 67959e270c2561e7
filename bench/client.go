package bench

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"time"
)

// client is one connection to one node, which is made anew when it breaks. It is
// small on purpose: what it uses is taken from the server it measures.
type client struct {
	target  target
	extra   string // header lines of every request
	timeout time.Duration
	buffer  int // of the connection; 16 KiB

	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte // of the last answer
}

// answer is what the head of a response says.
type answer struct {
	status        int
	next, cursor  string
	upToDate, end bool
	length        int64 // -1 when it is not said
	chunked       bool
	closes        bool
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing is waited for
		c.conn = nil
	}
}

func (c *client) dial() (err error) {
	if c.conn, err = net.DialTimeout("tcp", c.target.addr, c.timeout); err != nil {
		c.conn = nil
		return err
	}
	if c.target.secure {
		host, _, _ := net.SplitHostPort(c.target.addr)
		c.conn = tls.Client(c.conn, &tls.Config{ServerName: host, NextProtos: []string{"http/1.1"}})
	}
	size := c.buffer
	or(&size, 16<<10)
	c.in = bufio.NewReaderSize(c.conn, size)
	return nil
}

// begin sends a request and reads the head of its answer.
func (c *client) begin(method, stream, query, header string, body []byte) (a answer, err error) {
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return a, err
		}
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return a, err
	}
	b := append(c.out[:0], method...)
	b = append(append(append(b, ' '), c.target.path...), '/')
	b = append(b, stream...)
	if query != "" {
		b = append(append(b, '?'), query...)
	}
	b = append(append(b, " HTTP/1.1\r\nHost: "...), c.target.host...)
	b = append(append(append(b, "\r\n"...), c.extra...), header...)
	if method == "POST" || method == "PUT" {
		b = strconv.AppendInt(append(b, "Content-Length: "...), int64(len(body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(append(b, "\r\n"...), body...)
	c.out = b
	if _, err := c.conn.Write(b); err != nil {
		return a, err
	}
	for a.status < 200 { // interim answers are passed over
		if a, err = c.head(); err != nil {
			return a, err
		}
	}
	return a, nil
}

var errHead = errors.New("the answer is no HTTP/1.1")

func (c *client) head() (a answer, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return a, err
	}
	if len(line) < 12 || string(line[:7]) != "HTTP/1." {
		return a, errHead
	}
	status, ok := digits(line[9:12])
	if !ok {
		return a, errHead
	}
	a = answer{status: int(status), length: -1, closes: line[7] == '0'}
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return a, err
		}
		name, value, ok := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		if !ok {
			if len(name) > 0 {
				return a, errHead
			}
			return a, nil
		}
		if err := a.note(name, bytes.TrimSpace(value)); err != nil {
			return a, err
		}
	}
}

// note keeps a header that matters.
func (a *answer) note(name, value []byte) (err error) {
	is := func(s string) bool { return len(name) == len(s) && bytes.EqualFold(name, []byte(s)) }
	yes := func(s string) bool { return bytes.EqualFold(value, []byte(s)) }
	switch {
	case is("Stream-Next-Offset"):
		a.next = string(value)
	case is("Stream-Cursor"):
		a.cursor = string(value)
	case is("Stream-Up-To-Date"):
		a.upToDate = yes("true")
	case is("Stream-Closed"):
		a.end = yes("true")
	case is("Content-Length"):
		a.length, err = strconv.ParseInt(string(value), 10, 64)
	case is("Transfer-Encoding"):
		a.chunked = yes("chunked")
	case is("Connection"):
		a.closes = yes("close")
	}
	return err
}

// do sends a request and reads its answer to the end. The body is in c.body until
// the next request.
func (c *client) do(method, stream, query, header string, body []byte) (a answer, err error) {
	if a, err = c.begin(method, stream, query, header, body); err != nil {
		return a, err
	}
	if err = c.readBody(method, &a); err != nil || a.closes {
		c.close()
	}
	return a, err
}

func (c *client) readBody(method string, a *answer) (err error) {
	c.body = c.body[:0]
	switch {
	case method == "HEAD" || a.status == 204 || a.status == 304:
		return nil
	case a.chunked:
		w := bytes.NewBuffer(c.body)
		if _, err = w.ReadFrom(httputil.NewChunkedReader(c.in)); err == nil {
			_, err = c.in.Discard(2) // there are no trailers before the last line
		}
		c.body = w.Bytes()
	case a.length >= 0:
		if int64(cap(c.body)) < a.length {
			c.body = make([]byte, 0, a.length)
		}
		c.body = c.body[:a.length]
		_, err = io.ReadFull(c.in, c.body)
	default:
		a.closes = true
		c.body, err = io.ReadAll(c.in)
	}
	return err
}

func (c *client) create(stream, contentType string) error {
	a, err := c.do("PUT", stream, "", "Content-Type: "+contentType+"\r\n", nil)
	if err != nil {
		return fmt.Errorf("create a stream: %w", err)
	}
	if a.status != 200 && a.status != 201 {
		return fmt.Errorf("create a stream: status %d: %.200s", a.status, c.body)
	}
	return nil
}
