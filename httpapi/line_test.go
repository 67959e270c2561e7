package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"mainstem/httpapi"
)

type nodeMaker func(testing.TB) *node

// onAllPaths runs a test of live reads over net/http's way to write them, over
// connections that were taken over, and over such that take little at a time.
func onAllPaths(t *testing.T, test func(*testing.T, nodeMaker)) {
	for name, most := range map[string]int{"net/http": 0, "taken over": 1 << 30, "taken over, in drops": 97} {
		t.Run(name, func(t *testing.T) {
			test(t, func(tb testing.TB) *node {
				n := newNode(tb)
				if most > 0 {
					n.takeOver = func(w http.ResponseWriter, wake func()) (httpapi.Line, error) {
						return takeLine(w.(*answer), most, wake), nil
					}
				}
				return n
			})
		})
	}
}

// line is a connection that was taken over. It takes so many bytes at a time, and
// more a moment later.
type line struct {
	a      *answer
	wake   func()
	most   int
	gone   atomic.Bool
	closed chan struct{}
	forget func() bool

	room  int          // under a.mu
	chunk bytes.Buffer // under a.mu: what is not a whole chunk yet
	last  bool         // under a.mu: the last chunk was sent
}

func takeLine(a *answer, most int, wake func()) *line {
	l := &line{a: a, wake: wake, most: most, room: most, closed: make(chan struct{})}
	left := a.left
	if left == nil {
		left = context.Background()
	}
	l.forget = context.AfterFunc(left, func() {
		l.gone.Store(true)
		wake()
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.line = l
	return l
}

func (l *line) Gone() bool { return l.gone.Load() }

func (l *line) Close() error {
	l.forget()
	close(l.closed)
	return nil
}

func (l *line) Write(b []byte) (int, error) {
	l.a.mu.Lock()
	defer l.a.mu.Unlock()
	if l.a.stuck != nil {
		return 0, nil
	}
	n := min(len(b), l.room)
	if n > 0 && n < len(b) {
		l.room = 0
		go func() {
			l.a.mu.Lock()
			l.room = l.most
			l.a.mu.Unlock()
			l.wake()
		}()
	}
	l.chunk.Write(b[:n])
	return n, l.decode()
}

// decode moves whole chunks into the body of the answer.
func (l *line) decode() error {
	for {
		size, rest, ok := bytes.Cut(l.chunk.Bytes(), []byte("\r\n"))
		if !ok {
			return nil
		}
		n, err := strconv.ParseUint(string(size), 16, 32)
		if err != nil || l.last {
			panic("not a chunk: " + strconv.Quote(l.chunk.String()))
		}
		if len(rest) < int(n)+2 {
			return nil
		}
		if string(rest[n:n+2]) != "\r\n" {
			panic("a chunk does not end where its size says: " + strconv.Quote(l.chunk.String()))
		}
		l.a.body.Write(rest[:n])
		l.chunk.Next(len(size) + 2 + int(n) + 2)
		l.last = n == 0
	}
}

var errNoLine = errors.New("this connection cannot be taken over")
