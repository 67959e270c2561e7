package cluster

import (
	"context"
	"fmt"
	"net"
	"time"
)

// Network is how nodes reach each other's peer port.
type Network interface {
	Listen() (net.Listener, error)
	Dial(ctx context.Context, addr string) (net.Conn, error)
}

const keepAlive = 15 * time.Second

// TCP is the Network of the product. Names are resolved at each dial, so that a
// peer may change its IP address.
type TCP struct {
	Bind string // HOST:PORT to listen on
}

// Listen opens the peer port.
func (t TCP) Listen() (net.Listener, error) {
	l, err := net.Listen("tcp", t.Bind)
	if err != nil {
		return nil, fmt.Errorf("listen for peers on %s: %w", t.Bind, err)
	}
	return l, nil
}

// Dial connects to a peer.
func (TCP) Dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: keepAlive}
	return d.DialContext(ctx, "tcp", addr)
}
