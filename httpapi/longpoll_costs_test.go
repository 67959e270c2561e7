package httpapi_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"mainstem/httpapi"
)

// What a long-poll allocates between net/http's request and its answer must not creep
// up: a message to a hundred readers is a hundred of them.
func TestALongPollAllocatesLittle(t *testing.T) {
	const most = 27 + httpapi.RaceAllocs
	p := polledStream()
	s, err := httpapi.New(httpapi.Config{}, p, p, p, p)
	if err != nil {
		t.Fatal(err)
	}
	r := request(http.MethodGet, pollTarget, "")
	got := testing.AllocsPerRun(500, func() { s.ServeHTTP(&sink{header: http.Header{}}, r) })
	t.Logf("%v allocations", got)
	if got > most {
		t.Fatalf("%v allocations for a long-poll, at most %v are due", got, most)
	}
}

// TestTheAnswerToALongPollIsOneWrite, header and body together.
func TestTheAnswerToALongPollIsOneWrite(t *testing.T) {
	p := polledStream()
	s, err := httpapi.New(httpapi.Config{}, p, p, p, p)
	if err != nil {
		t.Fatal(err)
	}
	l := &countingListener{}
	server := httptest.NewUnstartedServer(s)
	l.Listener, server.Listener = server.Listener, l
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for polls := int64(1); polls <= 3; polls++ {
		if _, err := io.WriteString(conn, "GET "+pollTarget+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || len(body) != 257 {
			t.Fatalf("got %d with %d bytes, %v", res.StatusCode, len(body), err)
		}
		if got := l.writes.Load(); got != polls {
			t.Fatalf("%d writes for %d answers", got, polls)
		}
	}
}

// countingListener counts what is written to its connections.
type countingListener struct {
	net.Listener
	writes atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countingConn{c, l}, err
}

type countingConn struct {
	net.Conn
	of *countingListener
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.of.writes.Add(1)
	return c.Conn.Write(b)
}
