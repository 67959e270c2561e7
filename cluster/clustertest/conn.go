package clustertest

import (
	"io"
	"net"
	"os"
	"time"
)

// half is one direction of a connection: bytes on their way from one host to
// another. Everything in it is guarded by the network's lock.
type half struct {
	network *Network
	link    link
	buf     []byte
	ended   bool // the writer closed: the reader gets what is there, then EOF
	broken  bool // the reader closed: the writer gets an error
	wake    chan struct{}

	readBy, writeBy time.Time // deadlines; zero for none
}

func (n *Network) newHalf(from, to string) *half {
	h := &half{network: n, link: link{from, to}, wake: make(chan struct{})}
	n.halves[h] = struct{}{}
	return h
}

// ring wakes those who wait for a change of h. The lock is held.
func (h *half) ring() {
	close(h.wake)
	h.wake = make(chan struct{})
}

// wait releases the lock until h changes or the deadline comes, and reports
// false for the latter.
func (h *half) wait(by time.Time) bool {
	wake := h.wake
	var late <-chan time.Time
	if !by.IsZero() {
		left := time.Until(by)
		if left <= 0 {
			return false
		}
		timer := time.NewTimer(left)
		defer timer.Stop()
		late = timer.C
	}
	h.network.mu.Unlock()
	defer h.network.mu.Lock()
	select {
	case <-wake:
		return true
	case <-late:
		return false
	}
}

type conn struct {
	local, remote addrOf
	in, out       *half
}

func (c *conn) Read(b []byte) (int, error) {
	h := c.in
	h.network.mu.Lock()
	defer h.network.mu.Unlock()
	for {
		up := !h.network.cut[h.link]
		switch {
		case h.broken:
			return 0, net.ErrClosed
		case len(b) == 0:
			return 0, nil
		case up && len(h.buf) > 0:
			n := copy(b, h.buf)
			h.buf = h.buf[n:]
			h.ring()
			return n, nil
		case up && h.ended:
			return 0, io.EOF
		}
		if !h.wait(h.readBy) {
			return 0, os.ErrDeadlineExceeded
		}
	}
}

func (c *conn) Write(b []byte) (int, error) {
	h := c.out
	h.network.mu.Lock()
	defer h.network.mu.Unlock()
	written := 0
	for len(b) > 0 {
		switch room := sendBufferMax - len(h.buf); {
		case h.ended:
			return written, net.ErrClosed
		case h.broken && !h.network.cut[link{h.link.to, h.link.from}]: // the news travels back
			return written, io.ErrClosedPipe
		case room > 0:
			n := min(room, len(b))
			h.buf = append(h.buf, b[:n]...)
			b, written = b[n:], written+n
			h.ring()
			continue
		}
		if !h.wait(h.writeBy) {
			return written, os.ErrDeadlineExceeded
		}
	}
	return written, nil
}

// Close ends both directions. The other side learns of it over a link that
// works.
func (c *conn) Close() error {
	n := c.in.network
	n.mu.Lock()
	defer n.mu.Unlock()
	c.out.ended, c.in.broken = true, true
	for _, h := range []*half{c.in, c.out} {
		h.ring()
		if h.ended && h.broken {
			delete(n.halves, h)
		}
	}
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	n := c.in.network
	n.mu.Lock()
	defer n.mu.Unlock()
	c.in.readBy = t
	c.in.ring()
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	n := c.out.network
	n.mu.Lock()
	defer n.mu.Unlock()
	c.out.writeBy = t
	c.out.ring()
	return nil
}
