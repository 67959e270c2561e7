package sim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// ErrBroken is what a client sees when the process that it talked to died, or
// was not there.
var ErrBroken = errors.New("sim: connection broken")

// Response is an answer whose body may still be coming.
type Response struct {
	Status int
	Header http.Header

	exchange *exchange
}

// Read waits for the body; io.EOF is its end.
func (r *Response) Read(p []byte) (int, error) { return r.exchange.read(p) }

// Close leaves: the node sees its client go.
func (r *Response) Close() error {
	r.exchange.cancel()
	return nil
}

// exchange is one request and its answer on the way between a client and a node.
type exchange struct {
	node   *Node
	ctx    context.Context // of the client
	cancel context.CancelFunc

	header http.Header // the handler's until begun

	mu    sync.Mutex // guards what follows
	begun *Response
	body  bytes.Buffer
	ended bool
	err   error // how it ended, if not well
	bell  chan struct{}
}

// Do sends a request to a node and returns its answer as soon as its headers are
// there. The answer must be read to its end or closed.
func (n *Node) Do(ctx context.Context, method, path string, header map[string]string, body string) (*Response, error) {
	if n == nil || !n.enter() {
		return nil, ErrBroken
	}
	ctx, cancel := context.WithCancel(ctx)
	e := &exchange{node: n, ctx: ctx, cancel: cancel, header: http.Header{}, bell: make(chan struct{})}
	// The handler's context ends with the client or with the process.
	serving, hangUp := context.WithCancel(ctx)
	stop := context.AfterFunc(n.alive, func() {
		e.end(ErrBroken)
		hangUp()
	})
	r := httptest.NewRequest(method, path, strings.NewReader(body)).WithContext(serving)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	go func() {
		defer n.requests.Done()
		defer stop()
		defer hangUp()
		defer func() {
			err := error(nil)
			if p := recover(); p != nil {
				if p != http.ErrAbortHandler {
					panic(p)
				}
				err = ErrBroken
			}
			e.WriteHeader(http.StatusOK)
			e.end(err)
		}()
		n.api.ServeHTTP(e, r)
	}()
	return e.await()
}

// await returns the answer once its headers are there.
func (e *exchange) await() (*Response, error) {
	for {
		e.mu.Lock()
		begun, err, bell := e.begun, e.err, e.bell
		e.mu.Unlock()
		switch {
		case err != nil:
			e.cancel()
			return nil, err
		case begun != nil:
			return begun, nil
		}
		select {
		case <-bell:
		case <-e.ctx.Done():
			return nil, e.ctx.Err()
		}
	}
}

func (e *exchange) read(p []byte) (int, error) {
	for {
		e.mu.Lock()
		n, _ := e.body.Read(p)
		ended, err, bell := e.ended, e.err, e.bell
		e.mu.Unlock()
		switch {
		case n > 0:
			return n, nil
		case ended && err != nil:
			return 0, err
		case ended:
			e.cancel()
			return 0, io.EOF
		}
		select {
		case <-bell:
		case <-e.ctx.Done():
			return 0, e.ctx.Err()
		}
	}
}

func (e *exchange) end(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return
	}
	e.ended, e.err = true, err
	e.ring()
}

// ring wakes the client. The lock is held.
func (e *exchange) ring() {
	close(e.bell)
	e.bell = make(chan struct{})
}

// Header implements http.ResponseWriter.
func (e *exchange) Header() http.Header { return e.header }

// WriteHeader implements http.ResponseWriter.
func (e *exchange) WriteHeader(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.begun != nil || e.ended {
		return
	}
	e.begun = &Response{Status: status, Header: e.header.Clone(), exchange: e}
	e.ring()
}

// Write implements http.ResponseWriter.
func (e *exchange) Write(p []byte) (int, error) {
	e.WriteHeader(http.StatusOK)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended || e.ctx.Err() != nil {
		return 0, ErrBroken
	}
	e.body.Write(p)
	e.ring()
	return len(p), nil
}

// Flush implements http.Flusher.
func (e *exchange) Flush() {}

// SetWriteDeadline is there for handlers that set one; a client in memory always
// takes what it is given.
func (e *exchange) SetWriteDeadline(time.Time) error { return nil }
