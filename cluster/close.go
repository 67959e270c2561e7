package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// Close finishes what was accepted, hands leadership over, and stops. It may be
// called more than once.
func (n *Node) Close() error {
	n.closing.take()
	defer n.closing.give()
	if !n.closed {
		n.closed, n.closeErr = true, n.close()
	}
	return n.closeErr
}

func (n *Node) close() error {
	// Until raft is told to stop its futures end by themselves, at the latest
	// when leadership is lost. After it some never would, so all who wait for
	// one are awaited first.
	n.await("batches in flight", n.proposer.shut())
	n.await("entries under way", n.applying.hold())
	if s := n.seat.Load(); s != nil && s.raft.State() == raft.Leader && !n.departure.handled() && !s.alone(n.cfg.NodeID) {
		if err := n.TransferLeadership(context.Background()); err != nil {
			n.log.Warn("leadership not handed over", "err", err)
		}
	}
	n.await("answers to other nodes", n.port.drain())
	n.await("fences", n.fences.close())
	n.await("fences of other nodes", n.ownFences.close())

	n.cancel()
	close(n.stop)
	n.raftUse.wait()
	var errs []error
	n.admission.Lock() // none begins after this: the context has ended
	s := n.seat.Load()
	n.admission.Unlock()
	hangUp := func() { errs = append(errs, n.port.close()) }
	if s != nil {
		errs = append(errs, s.close(hangUp))
		// Raft does not wait for those who read its connections, and they may
		// write a term to the stores, which are closed next.
		n.await("raft's connections", n.port.inRaft.hold())
	} else {
		hangUp()
	}
	n.pool.close()
	errs = append(errs, n.disco.Close())
	n.group.wait()
	errs = append(errs, n.metrics.close())
	return errors.Join(errs...)
}

func (n *Node) await(what string, done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(drainTimeout):
		n.log.Error("gave up waiting at close", "for", what)
	}
}
