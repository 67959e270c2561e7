package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"
)

const (
	// changeTimeout bounds one change of the configuration.
	changeTimeout = 5 * time.Second
	// reportTimeout bounds one status exchange.
	reportTimeout = time.Second
)

// memberTable holds the last report of each other member.
type memberTable struct {
	life time.Duration // how long a report counts as fresh

	mu   sync.Mutex // guards seen
	seen map[string]sighting
}

func (t *memberTable) get(id string) (sighting, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.seen[id]
	return s, ok
}

func (t *memberTable) fresh(s sighting) bool { return time.Since(s.at) <= t.life }

// put records a report. near says that its node has nearly all there is.
func (t *memberTable) put(r report, near bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	before, known := t.seen[r.NodeID]
	if known && before.leaving() && before.DirectoryID == r.DirectoryID && r.Clock.Before(before.Clock) {
		return // an answer that was overtaken by the news that its sender stops
	}
	s := sighting{report: r, at: now}
	switch {
	case !near:
	case known && !before.caughtUp.IsZero() && before.DirectoryID == r.DirectoryID && now.Sub(before.at) <= t.life:
		s.caughtUp = before.caughtUp
	default:
		s.caughtUp = now
	}
	t.seen[r.NodeID] = s
}

// keep forgets all but the given members.
func (t *memberTable) keep(servers []raft.Server) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.seen {
		if !hasServer(servers, id) {
			delete(t.seen, id)
		}
	}
}

// storedBy is how far a member's log reached when it last said so.
func (n *Node) storedBy(id string) (index uint64, at time.Time) {
	s, _ := n.members.get(id)
	return s.Stored, s.at
}

func findServer(servers []raft.Server, id string) (raft.Server, bool) {
	for _, s := range servers {
		if string(s.ID) == id {
			return s, true
		}
	}
	return raft.Server{}, false
}

func hasServer(servers []raft.Server, id string) bool {
	_, ok := findServer(servers, id)
	return ok
}

// wakeMembers asks for a status exchange now.
func (n *Node) wakeMembers() {
	select {
	case n.exchangeNow <- struct{}{}:
	default:
	}
}

// exchangeReports asks every other member how it is, at each StatusInterval and
// when the leader changes.
func (n *Node) exchangeReports(s *seat, stop <-chan struct{}) {
	tick := time.NewTicker(n.cfg.StatusInterval)
	defer tick.Stop()
	away := map[string]bool{}
	for {
		servers, _ := s.servers()
		n.members.keep(servers)
		var g errgroup.Group
		for _, server := range servers {
			if id := string(server.ID); id != n.cfg.NodeID {
				g.Go(func() error {
					ctx, cancel := context.WithTimeout(n.ctx, reportTimeout)
					defer cancel()
					if _, err := n.exchangeWith(ctx, id); err != nil {
						n.log.Debug("no report", "from", id, "err", err)
					}
					return nil
				})
			}
		}
		g.Wait()
		n.tellReach(servers, away)
		n.judgeSpace()
		select {
		case <-tick.C:
		case <-n.exchangeNow:
		case <-stop:
			return
		}
	}
}

// tellReach says which members have gone out of reach or come back since the last
// look. away holds those that are out.
func (n *Node) tellReach(servers []raft.Server, away map[string]bool) {
	for _, server := range servers {
		id := string(server.ID)
		m, seen := n.members.get(id)
		if !seen || n.members.fresh(m) != away[id] {
			continue
		}
		switch away[id] = !away[id]; {
		case !away[id]:
			n.log.Info("member in reach again", "member", id)
		case m.leaving():
			n.log.Info("member has stopped", "member", id)
		default:
			n.log.Warn("member out of reach", "member", id, "last_report", time.Since(m.at).Round(time.Millisecond))
		}
	}
}

func (n *Node) exchangeWith(ctx context.Context, id string) (report, error) {
	addr := n.book.addrOf(id)
	if addr == "" {
		return report{}, errors.New("no address is known")
	}
	own := n.ownReport()
	own.Promised = n.departure.hasPromised(id)
	start := time.Now()
	r, err := callJSON[report](own, func(body []byte) (frame, error) {
		return n.pool.call(ctx, id, addr, laneSmall, methodStatus, body)
	})
	if err != nil {
		return report{}, err
	}
	if r.NodeID != id {
		return report{}, fmt.Errorf("node %q answered", r.NodeID)
	}
	if r.Stranger {
		n.leaveRemoved()
	}
	n.clock.observe(id, r.Clock.Add(time.Since(start)/2))
	n.noteReport(r)
	n.agreeOnKeys(ctx, r)
	return r, nil
}

// noteReport records what a member says of itself.
func (n *Node) noteReport(r report) {
	near := r.Applied+n.cfg.ReadyLagMax >= n.machine.Applied()
	n.members.put(r, near)
	n.judgeSpace()
	n.agree(r.Agreed)
	n.judgeLevel()
	if r.GossipAddr != "" {
		n.disco.Seed([]string{r.GossipAddr}) // gossip forgets a node that was away for long
	}
}

// serveStatus answers a member's report with this node's own.
func (n *Node) serveStatus(theirs report) (report, error) {
	stays, stranger := false, false
	if s := n.seat.Load(); s != nil {
		if servers, _ := s.servers(); hasServer(servers, theirs.NodeID) && theirs.NodeID != n.cfg.NodeID {
			stays = n.departure.hear(n.cfg.NodeID, theirs)
			n.noteReport(theirs)
		} else {
			stranger = n.isStranger(s, theirs.NodeID)
		}
	}
	own := n.ownReport()
	own.Stranger = stranger
	own.Stays = stays
	return own, nil
}

// tendMembers is the leader's care for the configuration: it follows members
// that moved, and gives a vote to those that have caught up.
func (n *Node) tendMembers(ctx context.Context, s *seat) {
	tick := time.NewTicker(n.cfg.StatusInterval)
	defer tick.Stop()
	for {
		n.tendOnce(s)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// tendOnce makes at most one change: the next is judged by its result.
func (n *Node) tendOnce(s *seat) {
	n.changing.take()
	defer n.changing.give()
	servers, index := s.servers()
	for _, server := range servers {
		id := string(server.ID)
		if id == n.cfg.NodeID {
			if string(server.Address) != n.cfg.AdvertisePeer {
				n.readdress(s, server, n.cfg.AdvertisePeer, index)
				return
			}
			continue
		}
		if addr := n.book.addrOf(id); addr != "" && addr != string(server.Address) {
			n.readdress(s, server, addr, index)
			return
		}
		if server.Suffrage != raft.Voter && n.deservesVote(id) {
			n.log.Info("member caught up; it gets a vote", "node", id)
			if err := s.raft.AddVoter(server.ID, server.Address, index, changeTimeout).Error(); err != nil {
				n.log.Warn("member could not be given a vote", "node", id, "err", err)
			}
			return
		}
	}
}

// deservesVote reports that a member has been caught up for StabilizationTime.
func (n *Node) deservesVote(id string) bool {
	m, ok := n.members.get(id)
	return ok && n.members.fresh(m) && !m.leaving() && m.Damage == "" && !m.caughtUp.IsZero() && time.Since(m.caughtUp) >= n.cfg.StabilizationTime
}

// readdress records a member's new peer address, and leaves its vote as it is.
func (n *Node) readdress(s *seat, server raft.Server, addr string, index uint64) {
	change := s.raft.AddNonvoter
	if server.Suffrage == raft.Voter {
		change = s.raft.AddVoter
	}
	err := change(server.ID, raft.ServerAddress(addr), index, changeTimeout).Error()
	n.log.Info("member moved", "node", server.ID, "from", server.Address, "to", addr, "err", err)
}
