package embed

import (
	"context"
	"errors"
	"net"
	"sync"

	"mainstem/cluster"
)

// island is the network of a node that takes no port and reaches nobody.
type island struct{}

var _ cluster.Network = island{}

var errIsland = errors.New("an embedded node reaches no other")

func (island) Listen() (net.Listener, error) { return &shore{closed: make(chan struct{})}, nil }

func (island) Dial(context.Context, string) (net.Conn, error) { return nil, errIsland }

// shore is a listener at which nobody arrives.
type shore struct {
	closed chan struct{}
	once   sync.Once
}

func (s *shore) Accept() (net.Conn, error) {
	<-s.closed
	return nil, net.ErrClosed
}

func (s *shore) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (*shore) Addr() net.Addr { return nobody }

// nobody is an address that is never dialled.
const nobody = address("embedded:1")

type address string

func (address) Network() string  { return "none" }
func (a address) String() string { return string(a) }
