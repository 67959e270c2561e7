package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// writeTimeout bounds the writing of one frame.
const writeTimeout = 10 * time.Second

var errConnClosed = errors.New("the connection is closed")

// rpcConn is the calling side of one RPC connection. Many calls share it; its
// reader notices a dead peer while nobody calls, so that a call on a connection
// that broke long ago fails before it is sent.
type rpcConn struct {
	conn net.Conn

	writing turn // one frame at a time

	mu      sync.Mutex // guards what follows
	next    uint64
	pending map[uint64]chan frame
	broken  error
}

func newRPCConn(c net.Conn) *rpcConn {
	return &rpcConn{conn: c, writing: newTurn(), pending: map[uint64]chan frame{}}
}

// read delivers answers until the connection ends.
func (c *rpcConn) read() {
	for {
		f, err := readFrame(c.conn)
		if err != nil {
			c.fail(err)
			return
		}
		if f.code == statusGoAway {
			c.retire(f.id)
			return
		}
		c.mu.Lock()
		answer := c.pending[f.id]
		delete(c.pending, f.id)
		c.mu.Unlock()
		if answer != nil {
			answer <- f
		}
	}
}

// retire ends the connection after the peer's last word: what it has not looked
// at may be asked elsewhere.
func (c *rpcConn) retire(last uint64) {
	c.mu.Lock()
	for id, answer := range c.pending {
		if id > last {
			answer <- frame{id: id, code: statusNotProposed, body: []byte("the peer is stopping")}
			delete(c.pending, id)
		}
	}
	c.mu.Unlock()
	c.fail(errConnClosed)
}

// fail closes the connection and tells all who wait on it.
func (c *rpcConn) fail(err error) {
	c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return
	}
	c.broken = err
	for id, answer := range c.pending {
		close(answer)
		delete(c.pending, id)
	}
}

func (c *rpcConn) alive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken == nil
}

// call sends one request and waits for its answer. An error is marked as not
// proposed when the peer certainly did not get the whole request.
func (c *rpcConn) call(ctx context.Context, method byte, body []byte) (frame, error) {
	id, answer, err := c.send(ctx, method, body)
	if err != nil {
		return frame{}, err
	}
	select {
	case f, ok := <-answer:
		if !ok {
			return frame{}, fmt.Errorf("wait for the answer: %w", errConnClosed)
		}
		return f, nil
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.pending, id)
		c.mu.Unlock()
		return frame{}, fmt.Errorf("wait for the answer: %w", context.Cause(ctx))
	}
}

// send writes a request. Ids go up in the order of writing, so that the peer can
// say up to where it has looked.
func (c *rpcConn) send(ctx context.Context, method byte, body []byte) (id uint64, answer chan frame, err error) {
	if err := c.writing.takeBy(ctx); err != nil {
		return 0, nil, notProposed(fmt.Errorf("send: %w", err))
	}
	defer c.writing.give()
	answer = make(chan frame, 1)
	c.mu.Lock()
	if c.broken != nil {
		c.mu.Unlock()
		return 0, nil, notProposed(fmt.Errorf("send: %w", errConnClosed))
	}
	c.next++
	id = c.next
	c.pending[id] = answer
	c.mu.Unlock()
	c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := writeFrame(c.conn, frame{id: id, code: method, body: body}); err != nil {
		c.fail(err)
		return 0, nil, notProposed(err)
	}
	return id, answer, nil
}
