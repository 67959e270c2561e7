package peertls

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// What is counted of connections.
const (
	incoming = "in"
	outgoing = "out"

	plain      = "plain"
	unverified = "unverified"
	verified   = "verified"
	refused    = "refused"
)

// Network is how nodes reach each other's port.
type Network interface {
	Listen() (net.Listener, error)
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

// Around returns the network with TLS on it.
func (g *Guard) Around(n Network) Network { return &guarded{inner: n, guard: g} }

type guarded struct {
	inner Network
	guard *Guard
}

// Listen returns a listener whose connections find out at the first read what the
// other end speaks.
func (n *guarded) Listen() (net.Listener, error) {
	l, err := n.inner.Listen()
	if err != nil {
		return nil, err
	}
	return &listener{Listener: l, guard: n.guard}, nil
}

type listener struct {
	net.Listener
	guard *Guard
}

func (l *listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, guard: l.guard, direction: incoming}
	c.begin = sync.OnceValue(c.accept)
	return c, nil
}

// Dial connects, and performs the handshake. In mode permissive a node that does
// not speak TLS is dialled again, plain.
func (n *guarded) Dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := n.dialTLS(ctx, addr)
	var silent *handshakeError
	if err == nil || !errors.As(err, &silent) || ctx.Err() != nil {
		return c, err
	}
	g := n.guard
	if g.cfg.Mode == Required {
		g.conns.WithLabelValues(outgoing, refused).Inc()
		switch told := g.teller.due("dial " + addr); {
		case told && silent.doubt:
			g.cfg.Log.Warn("no connection to another node: it does not prove who it is, and cluster.tls.mode is required here", "addr", addr, "err", silent.cause)
		case told:
			g.cfg.Log.Info("no connection to another node by TLS, and cluster.tls.mode is required here: it stops just now, or its own mode is off", "addr", addr, "err", silent.cause)
		}
		return nil, err
	}
	if g.teller.due("dial " + addr) {
		g.cfg.Log.Info("another node does not speak TLS yet; the connection is plain", "addr", addr, "err", silent.cause)
	}
	raw, err := n.inner.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: raw, guard: g, direction: outgoing, through: raw, begin: begun}, nil
}

func begun() error { return nil }

func (n *guarded) dialTLS(ctx context.Context, addr string) (net.Conn, error) {
	raw, err := n.inner.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, guard: n.guard, direction: outgoing, begin: begun}
	config := n.guard.tlsConfig(func(s tls.ConnectionState) error {
		if c.look(s); n.guard.cfg.Mode == Required {
			return c.doubt // before anything was said
		}
		return nil
	})
	config.ServerName = hostOf(addr)
	secure := tls.Client(raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, &handshakeError{addr, err, c.doubt != nil}
	}
	c.through = secure
	return c, nil
}

// handshakeError says that a connection was there and TLS on it was not.
type handshakeError struct {
	addr  string
	cause error
	doubt bool // it was there, and did not pass
}

func (e *handshakeError) Error() string {
	return fmt.Sprintf("TLS with the node at %s: %v", e.addr, e.cause)
}
func (e *handshakeError) Unwrap() error { return e.cause }

// conn is a connection with another node. Closing it closes what it runs over at
// once: a farewell of TLS would wait for an end that has stopped reading.
type conn struct {
	net.Conn
	guard     *Guard
	direction string
	begin     func() error // finds out what through is; the first read or write waits for it

	// What follows is written before begin returns.
	through net.Conn          // TLS, or Conn itself
	leaf    *x509.Certificate // of the other end; nil for none
	doubt   error             // why its certificate is none that this node trusts
	secure  bool
}

func (c *conn) Read(b []byte) (int, error) {
	if err := c.begin(); err != nil {
		return 0, err
	}
	return c.through.Read(b)
}

func (c *conn) Write(b []byte) (int, error) {
	if err := c.begin(); err != nil {
		return 0, err
	}
	return c.through.Write(b)
}

// recordHandshake begins every connection of TLS, and no hello of a node.
const recordHandshake = 0x16

// accept finds out what the other end speaks. The caller has set a deadline.
func (c *conn) accept() error {
	var first [1]byte
	if _, err := io.ReadFull(c.Conn, first[:]); err != nil {
		return err
	}
	peeked := &replayed{Conn: c.Conn, again: bytes.NewReader(first[:])}
	if first[0] != recordHandshake {
		c.through = peeked
		return nil
	}
	secure := tls.Server(peeked, c.guard.tlsConfig(func(s tls.ConnectionState) error {
		c.look(s)
		return nil // a refusal is told in a sentence, by Proves
	}))
	if err := secure.Handshake(); err != nil {
		if spoken(err) && c.guard.teller.due("accept "+hostOf(c.RemoteAddr().String())) {
			c.guard.cfg.Log.Warn("TLS with a caller on the peer port failed", "remote", c.RemoteAddr(), "err", err)
		}
		return fmt.Errorf("TLS with the caller: %w", err)
	}
	c.through = secure
	return nil
}

// spoken tells an error of TLS, such as an alert by which the other end says no,
// from a connection that ended.
func spoken(err error) bool {
	var op *net.OpError
	var record tls.RecordHeaderError
	return errors.As(err, &op) && strings.HasSuffix(op.Op, " error") || errors.As(err, &record)
}

// look notes what the other end has shown.
func (c *conn) look(s tls.ConnectionState) {
	usage := x509.ExtKeyUsageServerAuth
	if c.direction == incoming {
		usage = x509.ExtKeyUsageClientAuth
	}
	c.secure = true
	if c.doubt = c.guard.current.Load().verify(s.PeerCertificates, usage, c.guard.cfg.Now()); c.doubt == nil && s.NegotiatedProtocol != protocol {
		c.doubt = errProtocol
	}
	if len(s.PeerCertificates) > 0 {
		c.leaf = s.PeerCertificates[0]
	}
}

// replayed is a connection of which the first bytes were looked at.
type replayed struct {
	net.Conn
	again *bytes.Reader
}

func (r *replayed) Read(b []byte) (int, error) {
	if r.again.Len() > 0 {
		return r.again.Read(b)
	}
	return r.Conn.Read(b)
}
