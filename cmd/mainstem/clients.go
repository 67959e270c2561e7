package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"mainstem/phase"
)

const (
	// lingerTime is how long a connection that was accepted last may take to
	// bring its first request.
	lingerTime = 500 * time.Millisecond
	lingerPoll = 5 * time.Millisecond
)

// busyConns counts the connections on which a request is served or may be on
// its way: http.Server.Shutdown drops a request that it reads after it was
// called, even of a connection that was accepted before.
type busyConns struct {
	mu   sync.Mutex // guards busy
	busy map[net.Conn]struct{}
}

// note is the http.Server's ConnState.
func (b *busyConns) note(c net.Conn, s http.ConnState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s == http.StateNew || s == http.StateActive {
		if b.busy == nil {
			b.busy = map[net.Conn]struct{}{}
		}
		b.busy[c] = struct{}{}
		return
	}
	delete(b.busy, c)
}

func (b *busyConns) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.busy)
}

// serveClients answers on the client port until the port is closed.
func (n *node) serveClients() error {
	serve := func() error { return n.server.Serve(n.clients) }
	if n.keys != nil {
		serve = func() error { return n.server.ServeTLS(n.clients, "", "") }
	}
	err := serve()
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return phase.Start.In(fmt.Errorf("serve clients on %s: %w", n.clients.Addr(), err))
}

// dismissClients closes the port, lets what was accepted be answered, and ends
// all connections.
func (n *node) dismissClients(ctx context.Context) error {
	_ = n.clients.Close() // the server's Serve returns with it
	defer n.crowd.wait()
	for linger := time.Now().Add(lingerTime); n.busy.count() > 0 && time.Now().Before(linger) && ctx.Err() == nil; {
		time.Sleep(lingerPoll)
	}
	err := n.server.Shutdown(ctx)
	if errors.Is(err, net.ErrClosed) { // which says only that the port was closed before
		err = nil
	}
	if err != nil {
		err = errors.Join(err, n.server.Close())
	}
	if n.api != nil {
		err = errors.Join(err, n.api.Close(ctx))
	}
	return err
}
