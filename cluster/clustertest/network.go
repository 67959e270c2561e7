package clustertest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
)

const (
	backlogMax     = 128
	sendBufferMax  = 8 << 20
	defaultPortTxt = ":4438"
)

// Network is a network in memory. A cut link behaves like TCP behind a broken
// cable: what is written waits and arrives after the link is healed; dialling
// waits; nobody is told.
type Network struct {
	mu        sync.Mutex // guards what follows, and every half
	listeners map[string]*listener
	cut       map[link]bool
	dead      map[string]bool // hosts whose process is gone, to all others
	halves    map[*half]struct{}
	changed   chan struct{} // closed when a link changes
}

// link is one direction between two hosts.
type link struct{ from, to string }

// NewNetwork makes a network without hosts.
func NewNetwork() *Network {
	return &Network{
		listeners: map[string]*listener{},
		cut:       map[link]bool{},
		dead:      map[string]bool{},
		halves:    map[*half]struct{}{},
		changed:   make(chan struct{}),
	}
}

// Addr is the peer address of a host.
func Addr(host string) string { return host + defaultPortTxt }

// Host is a cluster.Network as one host sees it.
type Host struct {
	network *Network
	name    string
}

// Host gives a host its place in the network.
func (n *Network) Host(name string) *Host { return &Host{n, name} }

// Listen implements cluster.Network.
func (h *Host) Listen() (net.Listener, error) {
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	addr := Addr(h.name)
	if n.listeners[addr] != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, syscall.EADDRINUSE)
	}
	l := &listener{network: n, addr: addr, host: h.name, conns: make(chan net.Conn, backlogMax), done: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// Dial implements cluster.Network.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	n := h.network
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	for {
		n.mu.Lock()
		if !n.cut[link{h.name, host}] && !n.cut[link{host, h.name}] {
			c, err := n.connect(h.name, host, addr)
			n.mu.Unlock()
			return c, err
		}
		changed := n.changed
		n.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("dial %s: %w", addr, ctx.Err())
		}
	}
}

func (n *Network) connect(from, to, addr string) (net.Conn, error) {
	l := n.listeners[addr]
	if l == nil || n.dead[from] || n.dead[to] {
		return nil, fmt.Errorf("dial %s: %w", addr, syscall.ECONNREFUSED)
	}
	out, back := n.newHalf(from, to), n.newHalf(to, from)
	select {
	case l.conns <- &conn{local: addrOf(to), remote: addrOf(from), in: out, out: back}:
		return &conn{local: addrOf(from), remote: addrOf(to), in: back, out: out}, nil
	default:
		return nil, fmt.Errorf("dial %s: backlog is full: %w", addr, syscall.ECONNREFUSED)
	}
}

// CutOneWay drops everything from one host to another.
func (n *Network) CutOneWay(from, to string) { n.set(link{from, to}, true) }

// Cut separates two hosts.
func (n *Network) Cut(a, b string) {
	n.CutOneWay(a, b)
	n.CutOneWay(b, a)
}

// Isolate separates a host from all others that are named.
func (n *Network) Isolate(host string, others ...string) {
	for _, o := range others {
		if o != host {
			n.Cut(host, o)
		}
	}
}

// Kill makes a host look as if its process had died: its connections break, and
// nobody listens there. The process itself goes on, alone.
func (n *Network) Kill(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead[host] = true
	for h := range n.halves {
		if h.link.from == host || h.link.to == host {
			h.ended, h.broken = true, true
			h.ring()
			delete(n.halves, h)
		}
	}
}

// Revive undoes Kill; broken connections stay broken.
func (n *Network) Revive(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.dead, host)
}

// Heal mends all links.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.cut)
	n.announce()
}

func (n *Network) set(l link, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[l] = cut
	n.announce()
}

// announce wakes all who wait for a link. The lock is held.
func (n *Network) announce() {
	close(n.changed)
	n.changed = make(chan struct{})
	for h := range n.halves {
		h.ring()
	}
}

// reachable reports that both directions between two hosts work.
func (n *Network) reachable(a, b string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.cut[link{a, b}] && !n.cut[link{b, a}]
}

type listener struct {
	network *Network
	addr    string
	host    string
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.network.mu.Lock()
		delete(l.network.listeners, l.addr)
		l.network.mu.Unlock()
		for {
			select {
			case c := <-l.conns:
				c.Close()
			default:
				return
			}
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return addrOf(l.host) }

type addrOf string

func (addrOf) Network() string  { return "memory" }
func (a addrOf) String() string { return string(a) }
