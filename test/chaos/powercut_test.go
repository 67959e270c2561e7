package chaos

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	diskMegabytes = 4096 // of a sparse file
	cutsPerRound  = 10
	loadBeforeMin = 50 * time.Millisecond
	loadBeforeMax = 700 * time.Millisecond
)

// TestPowerCutsLoseNothing takes the power from one, two and all three nodes at
// once, in the middle of their work: what was not fsynced is gone, file or
// directory entry. No acknowledged append may be.
func TestPowerCutsLoseNothing(t *testing.T) {
	p := require(t)
	if err := harness.DiskRefusal(); err != nil {
		impossible(t, err)
	}
	rig := newPowerRig(t, p, 3, diskMegabytes)
	kinds := rig.schedule()
	for n := 0; len(kinds) > 0; n++ {
		now := kinds[:min(cutsPerRound, len(kinds))]
		kinds = kinds[len(now):]
		rig.stage.round(n, func(c *crew) {
			for _, nodes := range now {
				time.Sleep(p.between(loadBeforeMin, loadBeforeMax))
				rig.cut(nodes)
				c.waitAcks(acksBetween)
			}
		})
		rig.tellUse()
		// Every other round with other settings: some bugs need snapshots under
		// way, others a log that is kept.
		rig.setTight(n%2 == 1)
	}
}

// powerRig is a cluster whose nodes have a disk each.
type powerRig struct {
	stage *stage
	disks map[*harness.Node]*harness.Disk
}

// newPowerRig starts a cluster of some nodes on disks of some size.
func newPowerRig(t *testing.T, p plan, nodes int, megabytes int64) *powerRig {
	t.Helper()
	dir := harness.Dir(t)
	var disks []*harness.Disk // before the nodes: what is made last is ended first
	for i := range nodes {
		disks = append(disks, harness.NewDisk(t, dir, fmt.Sprintf("n%d", i+1), megabytes))
	}
	rig := &powerRig{disks: map[*harness.Node]*harness.Disk{}}
	cluster := harness.NewCluster(t, nodes)
	for i, n := range cluster.Nodes {
		rig.disks[n] = disks[i]
		n.Dir = disks[i].Mount + "/data"
	}
	rig.stage = newStage(t, p, cluster)
	rig.setTight(true)
	cluster.Start()
	cluster.WaitReady()
	return rig
}

// setTight chooses the settings with which nodes start from now on.
func (r *powerRig) setTight(tight bool) {
	for _, n := range r.stage.cluster.Nodes {
		n.Args = append([]string{}, clientArgs...)
		if tight {
			n.Args = append(n.Args, tightArgs...)
		}
	}
}

// tellUse prints how full the disks are: what crashes leave behind must go.
func (r *powerRig) tellUse() {
	var use []string
	for _, n := range r.stage.cluster.Nodes {
		used, err := r.disks[n].Used()
		if err != nil {
			r.stage.t.Fatal(err)
		}
		use = append(use, fmt.Sprintf("%s %d MiB", n.ID, used>>20))
	}
	r.stage.t.Logf("disks hold: %s", strings.Join(use, ", "))
}

// schedule draws how many nodes each cut takes.
func (r *powerRig) schedule() []int {
	p := r.stage.plan
	var kinds []int
	for i, times := range []int{p.pick(2, 16), p.pick(2, 16), p.pick(5, 104)} {
		for range times {
			kinds = append(kinds, i+1)
		}
	}
	p.rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	return kinds
}

// cut takes the power from some nodes at once, processes and disks, puts the
// disks in again and starts the nodes.
func (r *powerRig) cut(nodes int) {
	s := r.stage
	s.t.Helper()
	s.fault(fmt.Sprintf("power cut of %d", nodes))
	var victims []*harness.Node
	for _, i := range s.plan.rand.Perm(len(s.cluster.Nodes))[:nodes] {
		victims = append(victims, s.cluster.Nodes[i])
	}
	defer s.away(victims...)()
	r.powerOff(victims)
	r.powerOn(victims)
}

// powerOff takes the power from some nodes at once. A processor stops at the same
// moment as its disk: a process that went on would learn, of an fsync under way,
// that it succeeded, which only this way of cutting the power makes it believe.
func (r *powerRig) powerOff(victims []*harness.Node) {
	r.stage.t.Helper()
	for _, n := range victims {
		if n.Running() {
			n.Freeze()
		}
	}
	errs := make(chan error, len(victims))
	for _, n := range victims {
		go func() { errs <- r.disks[n].Cut() }()
	}
	for range victims {
		if err := <-errs; err != nil {
			r.stage.t.Fatal(err)
		}
	}
	for _, n := range victims {
		n.End()
	}
}

// powerOn puts the disks of nodes that do not run in again and starts the nodes.
func (r *powerRig) powerOn(victims []*harness.Node) {
	r.stage.t.Helper()
	for _, n := range victims {
		r.disks[n].Unmount()
		r.disks[n].Remount()
		n.Start()
	}
	for _, n := range victims {
		n.WaitReady()
	}
}
