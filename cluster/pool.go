package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// dialTimeout bounds dialling, the handshake not included.
const dialTimeout = time.Second

// lane separates calls that must not wait for each other: a fence does not
// queue behind a batch of 32 MiB, nor does its timeout break a batch's
// connection.
type lane int

const (
	laneBatches lane = iota
	laneSmall
	lanes
)

// pool keeps one connection per peer and lane to the other members.
type pool struct {
	dial  func(ctx context.Context, h hello, addr string) (net.Conn, error)
	spawn func(func()) bool // runs a function that close waits for

	mu     sync.Mutex // guards what follows
	peers  map[string]*[lanes]*poolSlot
	closed bool
}

// poolSlot holds one connection. Its lock is held while dialling, so that
// concurrent callers dial once.
type poolSlot struct {
	turn turn // guards what follows
	conn *rpcConn
	addr string
}

func newPool(dial func(context.Context, hello, string) (net.Conn, error), spawn func(func()) bool) *pool {
	return &pool{dial: dial, spawn: spawn, peers: map[string]*[lanes]*poolSlot{}}
}

var errPoolClosed = errors.New("this node's peer connections are closed")

// call sends one request to a member and returns its answer.
func (p *pool) call(ctx context.Context, to, addr string, l lane, method byte, body []byte) (frame, error) {
	c, err := p.get(ctx, to, addr, l)
	if err != nil {
		return frame{}, notProposed(err)
	}
	f, err := c.call(ctx, method, body)
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		p.suspect(to)
	}
	return f, err
}

func (p *pool) get(ctx context.Context, to, addr string, l lane) (*rpcConn, error) {
	s, err := p.slot(to, l)
	if err != nil {
		return nil, err
	}
	if err := s.turn.takeBy(ctx); err != nil {
		return nil, err
	}
	defer s.turn.give()
	if s.conn != nil && s.conn.alive() && s.addr == addr {
		return s.conn, nil
	}
	if s.conn != nil {
		s.conn.fail(errConnClosed)
		s.conn = nil
	}
	conn, err := p.dial(ctx, hello{Kind: connRPC, To: to}, addr)
	if err != nil {
		return nil, fmt.Errorf("connect to node %q at %s: %w", to, addr, err)
	}
	c := newRPCConn(conn)
	if !p.spawn(c.read) {
		conn.Close()
		return nil, errPoolClosed
	}
	s.conn, s.addr = c, addr
	return c, nil
}

func (p *pool) slot(to string, l lane) (*poolSlot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errPoolClosed
	}
	slots := p.peers[to]
	if slots == nil {
		slots = &[lanes]*poolSlot{{turn: newTurn()}, {turn: newTurn()}}
		p.peers[to] = slots
	}
	return slots[l], nil
}

// suspect drops the connections to a peer that does not answer, so that the
// next call dials. One that carries batches is left to finish.
func (p *pool) suspect(to string) {
	p.mu.Lock()
	slots := p.peers[to]
	p.mu.Unlock()
	if slots == nil {
		return
	}
	for l, s := range slots {
		if !s.turn.tryTake() {
			continue // somebody dials already
		}
		if c := s.conn; c != nil && (lane(l) == laneSmall || c.idle()) {
			c.fail(errConnClosed)
			s.conn = nil
		}
		s.turn.give()
	}
}

func (c *rpcConn) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending) == 0
}

// close ends all connections and refuses new ones.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	peers := p.peers
	p.mu.Unlock()
	for _, slots := range peers {
		for _, s := range slots {
			s.turn.take()
			if s.conn != nil {
				s.conn.fail(errPoolClosed)
			}
			s.turn.give()
		}
	}
}
