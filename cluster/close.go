package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// TransferLeadership makes another voter lead. It returns nil when this node
// does not lead any more, or never did.
func (n *Node) TransferLeadership(ctx context.Context) error {
	for {
		s := n.seat.Load()
		if s == nil || s.raft.State() != raft.Leader {
			return nil
		}
		if s.alone(n.cfg.NodeID) {
			return errors.New("transfer leadership: there is no other voter")
		}
		err := s.raft.LeadershipTransfer().Error()
		if s.raft.State() != raft.Leader {
			return nil
		}
		select {
		case <-time.After(transferPause):
		case <-ctx.Done():
			return fmt.Errorf("transfer leadership: %w (%v)", context.Cause(ctx), err)
		}
	}
}

// Close finishes what was accepted, hands leadership over, and stops. It may be
// called more than once.
func (n *Node) Close() error {
	n.closeOnce.Do(func() { n.closeErr = n.close() })
	return n.closeErr
}

func (n *Node) close() error {
	// Until raft is told to stop its futures end by themselves, at the latest
	// when leadership is lost. After it some never would, so all who wait for
	// one are awaited first.
	n.await("batches in flight", n.proposer.shut())
	if s := n.seat.Load(); s != nil && s.raft.State() == raft.Leader && !s.alone(n.cfg.NodeID) {
		ctx, cancel := context.WithTimeout(context.Background(), transferTimeout)
		if err := n.TransferLeadership(ctx); err != nil {
			n.log.Warn("leadership not handed over", "err", err)
		}
		cancel()
	}
	n.await("entries of other nodes", n.applying.close())
	n.await("fences", n.fences.close())
	n.await("fences of other nodes", n.ownFences.close())

	n.cancel()
	close(n.stop)
	n.raftUse.wait()
	var errs []error
	n.admission.Lock() // none begins after this: the context has ended
	s := n.seat.Load()
	n.admission.Unlock()
	hangUp := func() {
		if n.port != nil {
			errs = append(errs, n.port.close())
		}
	}
	if s != nil {
		errs = append(errs, s.close(hangUp))
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
