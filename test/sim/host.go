package sim

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"mainstem/cluster/clustertest"
)

var errDead = errors.New("sim: this process is dead")

// host is the network of one process. When the process dies its connections
// end, as an operating system would end them, whatever the process still does.
type host struct {
	*clustertest.Host
	delay func() time.Duration // of what arrives; nil for none

	mu    sync.Mutex // guards what follows
	dead  bool
	ends  map[interface{ Close() error }]struct{}
	death chan struct{}
}

func newHost(h *clustertest.Host, delay func() time.Duration) *host {
	return &host{Host: h, delay: delay, ends: map[interface{ Close() error }]struct{}{}, death: make(chan struct{})}
}

// kill ends everything at once.
func (h *host) kill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead {
		return
	}
	h.dead = true
	close(h.death)
	for end := range h.ends {
		_ = end.Close()
	}
	clear(h.ends)
}

func (h *host) keep(end interface{ Close() error }) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead {
		_ = end.Close()
		return false
	}
	h.ends[end] = struct{}{}
	return true
}

// Listen implements cluster.Network.
func (h *host) Listen() (net.Listener, error) {
	l, err := h.Host.Listen()
	if err != nil {
		return nil, err
	}
	if !h.keep(l) {
		return nil, errDead
	}
	return listener{l, h}, nil
}

// Dial implements cluster.Network.
func (h *host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dialled := make(chan struct{})
	defer close(dialled)
	go func() {
		select {
		case <-h.death:
			cancel()
		case <-dialled:
		}
	}()
	c, err := h.Host.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return h.wrap(c)
}

func (h *host) wrap(c net.Conn) (net.Conn, error) {
	if !h.keep(c) {
		return nil, errDead
	}
	return &conn{c, h}, nil
}

type listener struct {
	net.Listener
	host *host
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.host.wrap(c)
}

// conn is late: what arrives is read after a while.
type conn struct {
	net.Conn
	host *host
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.host.delay != nil && n > 0 {
		time.Sleep(c.host.delay())
	}
	return n, err
}

func (c *conn) Close() error {
	c.host.mu.Lock()
	delete(c.host.ends, c.Conn)
	c.host.mu.Unlock()
	return c.Conn.Close()
}
