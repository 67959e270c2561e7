package chaos

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	frozenMin   = 600 * time.Millisecond // longer than an election
	frozenMax   = 2500 * time.Millisecond
	downMax     = 1500 * time.Millisecond
	killRounds  = 10 // of the whole battery
	loadBetween = 300 * time.Millisecond
	askedAtOnce = 90
	askedBefore = 100 * time.Millisecond
)

// TestKillsAndFreezesLoseNothing ends and freezes processes under load. Their
// page cache survives, so these are faster than power cuts and find what is
// wrong in memory: elections, repeats, sessions, fences, live readers.
func TestKillsAndFreezesLoseNothing(t *testing.T) {
	p := require(t)
	cluster := harness.NewCluster(t, 3, append(append([]string{}, clientArgs...), tightArgs...)...)
	cluster.Start()
	cluster.WaitReady()
	s := newStage(t, p, cluster)
	actions := []func(*stage){
		(*stage).killLeader, (*stage).freezeLeader, (*stage).killAll, (*stage).killMajority,
		(*stage).killOne, (*stage).freezeFollower, (*stage).rollingRestart, (*stage).wipeOne,
	}
	for n := range p.pick(1, killRounds) {
		s.round(n, func(c *crew) {
			for _, i := range p.rand.Perm(len(actions)) {
				time.Sleep(p.between(0, loadBetween))
				actions[i](s)
				c.waitAcks(acksBetween)
			}
		})
	}
}

// any draws some nodes.
func (s *stage) any(nodes int) []*harness.Node {
	var drawn []*harness.Node
	for _, i := range s.plan.rand.Perm(len(s.cluster.Nodes))[:nodes] {
		drawn = append(drawn, s.cluster.Nodes[i])
	}
	return drawn
}

// kill ends some processes at once, starts them after a while, and waits until
// they are ready.
func (s *stage) kill(kind string, victims []*harness.Node) {
	s.t.Helper()
	s.fault(kind)
	defer s.away(victims...)()
	for _, n := range victims {
		n.Kill()
	}
	time.Sleep(s.plan.between(0, downMax))
	for _, n := range victims {
		n.Start()
	}
	for _, n := range victims {
		n.WaitReady()
	}
}

func (s *stage) killOne()      { s.kill("kill of 1", s.any(1)) }
func (s *stage) killMajority() { s.kill("kill of 2", s.any(2)) }
func (s *stage) killAll()      { s.kill("kill of 3", s.any(3)) }
func (s *stage) killLeader() {
	s.kill("kill of the leader", []*harness.Node{s.cluster.Leader()})
}

// freezeLeader stops the leader's process and lets it go on after another has
// been elected. Reads wait in its sockets meanwhile: what it answers when it
// wakes up, still believing that it leads, must not be old.
func (s *stage) freezeLeader() {
	s.t.Helper()
	s.freeze("freeze of the leader", s.cluster.Leader())
}

func (s *stage) freezeFollower() {
	s.t.Helper()
	followers := s.cluster.Followers()
	s.freeze("freeze of a follower", followers[s.plan.rand.IntN(len(followers))])
}

func (s *stage) freeze(kind string, n *harness.Node) {
	s.t.Helper()
	s.fault(kind)
	defer s.away(n)()
	n.Pause()
	time.Sleep(s.plan.between(frozenMin, frozenMax))
	asked := s.open.askMany(n.ID)
	time.Sleep(askedBefore)
	n.Resume()
	asked.Wait()
	n.WaitReady()
}

// askMany asks one node many times at once where streams end. What is asked
// while the node is frozen is the first thing it answers when it wakes up.
func (c *crew) askMany(node string) *sync.WaitGroup {
	var wait sync.WaitGroup
	for _, n := range c.nodes {
		for i := range askedAtOnce {
			if n.id == node {
				s := c.streams[i%len(c.streams)]
				o := op{Client: fmt.Sprintf("asker-%d", i), Stream: s.name, Node: n.id, Call: c.history.now()}
				wait.Go(func() { _ = c.look(o, opHead, n) }) // recorded, whatever it is
			}
		}
	}
	return &wait
}

// rollingRestart stops each node in good order and starts it again.
func (s *stage) rollingRestart() {
	s.t.Helper()
	for _, n := range s.any(3) {
		s.fault("graceful restart")
		back := s.away(n)
		n.Stop()
		n.Start()
		n.WaitReady()
		back()
	}
}

// wipeOne takes all that a follower holds. It comes back under its old name with
// an empty directory and must not vote before it has been filled again.
func (s *stage) wipeOne() {
	s.t.Helper()
	followers := s.cluster.Followers()
	n := followers[s.plan.rand.IntN(len(followers))]
	s.fault("wiped member")
	defer s.away(n)()
	n.Kill()
	if err := os.RemoveAll(n.Dir); err != nil {
		s.t.Fatal(fmt.Errorf("wipe %s: %w", n.ID, err))
	}
	n.Start()
	n.WaitReady()
}
