package lines_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"mainstem/lines"
)

// within bounds every wait of these tests.
const within = 20 * time.Second

// exchange serves one request by taking its connection, and returns the line, what
// rings when it wakes somebody, and the client's end.
func exchange(t *testing.T, p *lines.Poller) (*lines.Line, <-chan struct{}, net.Conn) {
	t.Helper()
	taken, woken := make(chan *lines.Line, 1), make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		l, err := p.Take(w, func() {
			select {
			case woken <- struct{}{}:
			default:
			}
		})
		if err != nil {
			t.Error(err)
		}
		taken <- l
	}))
	t.Cleanup(server.Close)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	l := <-taken
	if l == nil {
		t.FailNow()
	}
	return l, woken, conn
}

func open(t *testing.T) *lines.Poller {
	t.Helper()
	p, err := lines.Open()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func wait(t *testing.T, what string, woken <-chan struct{}) {
	t.Helper()
	select {
	case <-woken:
	case <-time.After(within):
		t.Fatal(what + ": nobody was woken")
	}
}

// TestALineSendsWhatItIsGiven, behind what net/http has sent.
func TestALineSendsWhatItIsGiven(t *testing.T) {
	l, _, conn := exchange(t, open(t))
	for _, text := range []string{"5\r\nhello\r\n", "0\r\n\r\n"} {
		if n, err := l.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	if l.Gone() {
		t.Fatal("the peer is here")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if string(body) != "hello" || err != nil {
		t.Fatalf("got %q, %v", body, err)
	}
}

// TestALineThatIsFullWakesWhenItTakesMore: nothing is lost, and no write waits.
func TestALineThatIsFullWakesWhenItTakesMore(t *testing.T) {
	l, woken, conn := exchange(t, open(t))
	data := bytes.Repeat([]byte("0123456789abcdef"), 4<<20/16)
	rest := data
	n, err := l.Write(rest)
	for ; err == nil && n == len(rest); n, err = l.Write(rest) { // until the buffers of the network are full
		data = append(data, rest...)
	}
	if err != nil {
		t.Fatal(err)
	}
	rest = rest[n:]
	got := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(conn)
		got <- all
	}()
	for len(rest) > 0 {
		wait(t, "a full line", woken)
		n, err := l.Write(rest)
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, body, _ := bytes.Cut(<-got, []byte("\r\n\r\n"))
	if !bytes.Equal(body, data) {
		t.Fatalf("got %d bytes, want %d", len(body), len(data))
	}
}

// TestALineTellsThatItsPeerHasLeft, without anything being written.
func TestALineTellsThatItsPeerHasLeft(t *testing.T) {
	for name, leave := range map[string]func(net.Conn) error{
		"closed":      func(c net.Conn) error { return c.Close() },
		"half closed": func(c net.Conn) error { return c.(*net.TCPConn).CloseWrite() },
		"reset": func(c net.Conn) error {
			if err := c.(*net.TCPConn).SetLinger(0); err != nil {
				return err
			}
			return c.Close()
		},
		"after sending something": func(c net.Conn) error {
			if _, err := fmt.Fprint(c, "GET /more HTTP/1.1\r\n"); err != nil {
				return err
			}
			return c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, woken, conn := exchange(t, open(t))
			if err := leave(conn); err != nil {
				t.Fatal(err)
			}
			wait(t, "a peer that left", woken)
			if !l.Gone() {
				t.Fatal("woken for nothing")
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestTheEndReachesAPeerThatTalks: what a peer sends for nothing does not make the
// kernel take back what was written.
func TestTheEndReachesAPeerThatTalks(t *testing.T) {
	l, _, conn := exchange(t, open(t))
	fmt.Fprint(conn, strings.Repeat("x", 10_000))
	time.Sleep(50 * time.Millisecond) // for it to arrive; nobody is told of it
	if _, err := l.Write([]byte("3\r\nend\r\n0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	all, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(all), "end\r\n0\r\n\r\n") {
		t.Fatalf("got %q, %v", all, err)
	}
}

// TestAClosedPollerTakesNothing and leaves no goroutine.
func TestAClosedPollerTakesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	p, err := lines.Open()
	if err != nil {
		t.Skip(err)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Fatalf("%d goroutines, %d before", after, before)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := p.Take(w, func() {}); err == nil {
			t.Error("taken")
		}
	}))
	defer server.Close()
	if _, err := http.Get(server.URL); err == nil {
		t.Error("a connection that was given up still answers")
	}
	if _, err := p.Take(httptest.NewRecorder(), func() {}); err == nil {
		t.Error("took what is no connection")
	}
}

// TestAWriteCostsNoMemory.
func TestAWriteCostsNoMemory(t *testing.T) {
	l, _, conn := exchange(t, open(t))
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	text := []byte("5\r\nhello\r\n")
	if allocs := testing.AllocsPerRun(500, func() {
		if _, err := l.Write(text); err != nil {
			t.Fatal(err)
		}
	}); allocs > 0 {
		t.Fatalf("%v allocations", allocs)
	}
	_ = l.Close()
}
