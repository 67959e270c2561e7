package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// TransferLeadership makes another voter lead. It returns nil when this node
// does not lead any more, or never did.
//
// Nothing is under way when it is handed over: what raft has not committed at
// that moment would have an unknown outcome.
func (n *Node) TransferLeadership(ctx context.Context) error {
	idle := n.applying.hold()
	defer n.applying.release()
	select {
	case <-idle:
	case <-ctx.Done():
		return fmt.Errorf("transfer leadership: wait for entries under way: %w", context.Cause(ctx))
	}
	for try := 0; ; try++ {
		s := n.seat.Load()
		if s == nil || s.raft.State() != raft.Leader {
			return nil
		}
		heirs := n.heirs(s)
		if len(heirs) == 0 {
			return errors.New("transfer leadership: no other voter is in reach")
		}
		heir := heirs[try%len(heirs)]
		err := s.raft.LeadershipTransferToServer(heir.ID, heir.Address).Error()
		if s.raft.State() != raft.Leader {
			return nil
		}
		select {
		case <-time.After(transferPause):
		case <-ctx.Done():
			return fmt.Errorf("transfer leadership: %w (to node %q: %v)", context.Cause(ctx), heir.ID, err)
		}
	}
}

// heirs are the voters that may lead next, the most advanced first. Those that
// are stopping themselves come last.
func (n *Node) heirs(s *seat) []raft.Server {
	servers, _ := s.servers()
	seen := map[raft.ServerID]sighting{}
	servers = slices.DeleteFunc(slices.Clone(servers), func(server raft.Server) bool {
		m, ok := n.members.get(string(server.ID))
		seen[server.ID] = m
		return server.Suffrage != raft.Voter || string(server.ID) == n.cfg.NodeID || !ok || !n.members.fresh(m)
	})
	slices.SortFunc(servers, func(a, b raft.Server) int {
		one, other := seen[a.ID], seen[b.ID]
		if one.Closing != other.Closing {
			if one.Closing {
				return 1
			}
			return -1
		}
		return cmp.Compare(other.Applied, one.Applied)
	})
	return servers
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
	n.await("entries under way", n.applying.hold())
	if s := n.seat.Load(); s != nil && s.raft.State() == raft.Leader && !s.alone(n.cfg.NodeID) {
		ctx, cancel := context.WithTimeout(context.Background(), transferTimeout)
		if err := n.TransferLeadership(ctx); err != nil {
			n.log.Warn("leadership not handed over", "err", err)
		}
		cancel()
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
