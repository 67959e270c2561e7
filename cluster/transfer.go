package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// transferElections bounds, in election timeouts, how long leadership is
	// tried to be handed over. Nothing is written meanwhile.
	transferElections = 3
	// transferPause is the time between looks for somebody to hand over to.
	transferPause = 10 * time.Millisecond
)

// TransferLeadership makes another voter lead. It returns nil when this node
// does not lead any more, or never did.
//
// Nothing is under way when it is handed over: what raft has not committed at
// that moment would have an unknown outcome.
func (n *Node) TransferLeadership(ctx context.Context) error {
	return n.transferTo(ctx, func(raft.Server) bool { return true })
}

// transferTo is TransferLeadership to a voter that may is true of.
func (n *Node) transferTo(ctx context.Context, may func(raft.Server) bool) error {
	s := n.seat.Load()
	if s == nil || s.raft.State() != raft.Leader {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, transferElections*n.cfg.ElectionTimeout)
	defer cancel()
	heirs := n.heirs(ctx, s, may)
	if len(heirs) == 0 {
		return errors.New("transfer leadership: no other voter is in reach")
	}
	idle := n.applying.hold()
	defer n.applying.release()
	select {
	case <-idle:
	case <-ctx.Done():
		return fmt.Errorf("transfer leadership: wait for entries under way: %w", context.Cause(ctx))
	}
	var errs []error
	for _, heir := range heirs {
		err := s.raft.LeadershipTransferToServer(heir.ID, heir.Address).Error()
		if s.raft.State() != raft.Leader {
			return nil
		}
		errs = append(errs, fmt.Errorf("to node %q: %w", heir.ID, err))
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("transfer leadership: %w", errors.Join(errs...))
}

// heirs are the voters that may lead next, the best first. All of them have
// answered just now: raft would spend an election timeout, in which nothing is
// written, on one that is dead.
func (n *Node) heirs(ctx context.Context, s *seat, may func(raft.Server) bool) []raft.Server {
	for {
		reports := n.askVoters(ctx, s)
		var heirs []raft.Server
		servers, _ := s.servers()
		for _, server := range servers {
			if r, ok := reports[string(server.ID)]; ok && may(server) && r.Damage == "" && r.Stored+n.cfg.ReadyLagMax >= s.raft.LastIndex() {
				heirs = append(heirs, server)
			}
		}
		slices.SortStableFunc(heirs, func(a, b raft.Server) int {
			one, other := reports[string(a.ID)], reports[string(b.ID)]
			if one.leaving() != other.leaving() {
				if one.leaving() {
					return 1
				}
				return -1
			}
			return cmp.Compare(other.Stored, one.Stored)
		})
		if len(heirs) > 0 {
			return heirs
		}
		select {
		case <-time.After(transferPause):
		case <-ctx.Done():
			return nil
		}
	}
}

// askVoters asks all other voters at once how they are, and returns what came
// within an election timeout.
func (n *Node) askVoters(ctx context.Context, s *seat) map[string]report {
	ctx, cancel := context.WithTimeout(ctx, n.cfg.ElectionTimeout)
	defer cancel()
	var mu sync.Mutex // guards reports
	reports := map[string]report{}
	var asking sync.WaitGroup
	servers, _ := s.servers()
	for _, server := range servers {
		id := string(server.ID)
		if id == n.cfg.NodeID || server.Suffrage != raft.Voter {
			continue
		}
		asking.Go(func() {
			if r, err := n.exchangeWith(ctx, id); err == nil {
				mu.Lock()
				reports[id] = r
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	return reports
}
