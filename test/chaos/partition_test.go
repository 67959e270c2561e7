package chaos

import (
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	partMin         = 1200 * time.Millisecond // several elections
	partMax         = 3500 * time.Millisecond
	flaps           = 6
	flapMin         = 100 * time.Millisecond
	flapMax         = 500 * time.Millisecond
	partitionRounds = 10 // of the whole battery
)

// TestPartitionsLoseNothing gives each node a host of its own and cuts the
// network between them in every shape, while clients reach all nodes: those of
// a minority too, which must not answer with what is no longer true.
func TestPartitionsLoseNothing(t *testing.T) {
	p := require(t)
	if err := networkRefusal(); err != nil {
		impossible(t, err)
	}
	cluster := harness.NewCluster(t, 3, append(append([]string{}, clientArgs...), tightArgs...)...)
	w := &wires{net: newNetwork(t, cluster)}
	cluster.Start()
	cluster.WaitReady()
	w.stage = newStage(t, p, cluster)
	actions := []func(*wires){
		(*wires).minorityLeader, (*wires).deafLeader, (*wires).muteLeader,
		(*wires).bridge, (*wires).flapping, (*wires).apart,
	}
	for n := range p.pick(1, partitionRounds) {
		w.stage.round(n, func(c *crew) {
			for _, i := range p.rand.Perm(len(actions)) {
				actions[i](w)
				w.net.heal()
				w.stage.cluster.WaitReady()
				c.waitAcks(acksBetween)
			}
		})
	}
}

// wires is a cluster and the network between its nodes.
type wires struct {
	stage *stage
	net   *network
}

// hold keeps a cut for a while.
func (w *wires) hold(kind string, c cut) {
	w.stage.t.Helper()
	w.stage.fault(kind)
	w.net.apply(c)
	time.Sleep(w.stage.plan.between(partMin, partMax))
}

// leader returns the leader and the others.
func (w *wires) leader() (leader, a, b *harness.Node) {
	leader = w.stage.cluster.Leader()
	rest := []*harness.Node{}
	for _, n := range w.stage.cluster.Nodes {
		if n != leader {
			rest = append(rest, n)
		}
	}
	return leader, rest[0], rest[1]
}

// minorityLeader leaves the leader alone on its side.
func (w *wires) minorityLeader() {
	l, a, b := w.leader()
	w.hold("partition: leader in the minority", append(both(l, a), both(l, b)...))
}

// deafLeader lets the leader send and not hear.
func (w *wires) deafLeader() {
	l, a, b := w.leader()
	w.hold("partition: deaf leader", cut{{a, l}, {b, l}})
}

// muteLeader lets the leader hear and not send.
func (w *wires) muteLeader() {
	l, a, b := w.leader()
	w.hold("partition: mute leader", cut{{l, a}, {l, b}})
}

// bridge cuts two nodes apart, both of which see the third.
func (w *wires) bridge() {
	l, a, b := w.leader()
	if w.stage.plan.rand.IntN(2) == 0 {
		w.hold("partition: bridge that leads", both(a, b))
	} else {
		w.hold("partition: bridge that follows", both(l, a))
	}
}

// apart leaves each node alone: no quorum anywhere.
func (w *wires) apart() {
	l, a, b := w.leader()
	w.hold("partition: all apart", append(append(both(l, a), both(l, b)...), both(a, b)...))
}

// flapping cuts off some node and lets it back, again and again, faster than
// anybody can settle.
func (w *wires) flapping() {
	w.stage.fault("partition: flapping")
	for range flaps {
		nodes := w.stage.any(3)
		w.net.apply(append(both(nodes[0], nodes[1]), both(nodes[0], nodes[2])...))
		time.Sleep(w.stage.plan.between(flapMin, flapMax))
		w.net.heal()
		time.Sleep(w.stage.plan.between(flapMin, flapMax))
	}
}
