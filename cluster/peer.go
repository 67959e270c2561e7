package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// connsMax bounds the connections to the peer port.
	connsMax = 1024
	// raftConnsMax bounds raft connections that wait to be picked up.
	raftConnsMax = 64

	acceptPause = 20 * time.Millisecond
)

// port is this node's peer port: one listener, whose connections begin with a
// handshake and then go to raft or to the RPC server.
type port struct {
	listener net.Listener
	me       func() welcome
	proves   func(net.Conn, hello) string
	judge    func(hello) string
	handle   handler
	raft     chan net.Conn     // handed to raft's transport ...
	inRaft   gate              // ... and not yet closed by it
	onGone   func(from string) // a raft connection from that node has ended
	draining chan struct{}     // closed by drain
	serving  gate              // RPC connections
	onReject func(remote net.Addr, h hello, err error)

	mu     sync.Mutex        // guards what follows
	conns  map[net.Conn]bool // true: raft's
	closed bool
}

// serve accepts connections until the listener is closed.
func (p *port) serve(ctx context.Context, spawn func(func()) bool) {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			select { // such as too many open files: it may pass
			case <-time.After(acceptPause):
			case <-ctx.Done():
				return
			}
			continue
		}
		if !p.track(c) {
			c.Close()
			continue
		}
		if !spawn(func() { p.take(ctx, c) }) {
			p.forget(c)
		}
	}
}

// take performs the handshake and serves the connection.
func (p *port) take(ctx context.Context, c net.Conn) {
	h, err := receive(c, p.me, func(h hello) string {
		if why := p.proves(c, h); why != "" {
			return why
		}
		return p.judge(h)
	})
	if err != nil {
		p.forget(c)
		p.onReject(c.RemoteAddr(), h, err)
		return
	}
	if h.Kind == connRaft {
		p.handToRaft(ctx, c, h.From)
		return
	}
	defer p.forget(c)
	if !p.serving.enter() {
		return // nothing has been read of it
	}
	defer p.serving.leave()
	s := &served{conn: c, kind: h.Kind, handle: p.handle, writing: newTurn()}
	s.serve(ctx, p.draining)
}

// handToRaft gives a connection to raft, which closes it.
func (p *port) handToRaft(ctx context.Context, c net.Conn, from string) {
	if !p.inRaft.enter() {
		p.forget(c)
		return
	}
	closed := func(c net.Conn) {
		p.forget(c)
		p.inRaft.leave()
		p.onGone(from)
	}
	p.mu.Lock()
	p.conns[c] = true
	p.mu.Unlock()
	tracked := &trackedConn{Conn: c, forget: closed}
	select {
	case p.raft <- tracked:
	case <-ctx.Done():
		tracked.Close()
	}
}

func (p *port) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.conns) >= connsMax {
		return false
	}
	p.conns[c] = false
	return true
}

func (p *port) forget(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	c.Close()
}

// hangUpRaft ends the connections over which raft's requests come. Members that
// are alive dial again.
func (p *port) hangUpRaft() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c, isRaft := range p.conns {
		if isRaft {
			c.Close()
		}
	}
}

// drain lets RPC connections answer what they have read, and then end. The
// channel it returns is closed when all have. It is called once.
func (p *port) drain() <-chan struct{} {
	close(p.draining)
	return p.serving.hold()
}

// close stops listening and ends every connection.
func (p *port) close() error {
	var err error
	if p.listener != nil {
		err = p.listener.Close()
	}
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	return err
}

// trackedConn leaves the table of connections when it is closed, which may be
// done more than once.
type trackedConn struct {
	net.Conn
	forget func(net.Conn)
	once   sync.Once
}

func (c *trackedConn) Close() error {
	c.once.Do(func() { c.forget(c.Conn) })
	return nil
}

// stream is the raft.StreamLayer: raft's connections, incoming and outgoing.
type streamLayer struct {
	incoming chan net.Conn
	dial     func(ctx context.Context, h hello, addr string) (net.Conn, error)
	idOf     func(addr string) string
	addr     peerAddr
	done     chan struct{}
	once     sync.Once

	mu  sync.Mutex // guards out
	out map[net.Conn]struct{}
}

// peerAddr is an address as others dial it: a name, which raft keeps.
type peerAddr string

func (peerAddr) Network() string  { return "tcp" }
func (a peerAddr) String() string { return string(a) }

func (s *streamLayer) Accept() (net.Conn, error) {
	select {
	case c := <-s.incoming:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *streamLayer) Addr() net.Addr { return s.addr }

// Dial connects to a member's raft. The handshake names who is meant, so that
// an address which now belongs to another member cannot answer for it.
func (s *streamLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), min(timeout, dialTimeout+handshakeTimeout))
	defer cancel()
	addr := string(address)
	c, err := s.dial(ctx, hello{Kind: connRaft, To: s.idOf(addr)}, addr)
	if err != nil {
		return nil, &dialError{addr, err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		c.Close()
		return nil, net.ErrClosed
	default:
	}
	s.out[c] = struct{}{}
	return &patientConn{Conn: &trackedConn{Conn: c, forget: s.forget}}, nil
}

// dialError says that a member's raft could not be reached.
type dialError struct {
	addr  string
	cause error
}

func (e *dialError) Error() string {
	return fmt.Sprintf("connect to raft at %s: %v", e.addr, e.cause)
}
func (e *dialError) Unwrap() error { return e.cause }

func (s *streamLayer) forget(c net.Conn) {
	s.mu.Lock()
	delete(s.out, c)
	s.mu.Unlock()
	c.Close()
}

// Close ends raft's outgoing connections, so that nothing of raft waits for a
// peer that does not answer. The port ends the incoming ones.
func (s *streamLayer) Close() error {
	s.once.Do(func() { close(s.done) })
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.out {
		c.Close()
	}
	return nil
}
