package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	hungMin        = 800 * time.Millisecond // longer than an election
	hungMax        = 5 * time.Second        // shorter than an append waits for an answer
	slowMin        = 1 * time.Second
	slowMax        = 3 * time.Second
	slowSync       = 40 * time.Millisecond
	slowDiskRounds = 5 // of the whole battery
	tracerWithin   = 10 * time.Second
)

// TestSlowAndHungDisksLoseNothing makes the disk of one node hang for a while, or
// its fsyncs slow. A slow follower slows nobody; a leader whose disk hangs stops
// what is written, at worst for as long as it hangs.
func TestSlowAndHungDisksLoseNothing(t *testing.T) {
	p := require(t)
	if err := harness.DiskRefusal(); err != nil {
		impossible(t, err)
	}
	if _, err := exec.LookPath("strace"); err != nil {
		impossible(t, err)
	}
	rig := newPowerRig(t, p, 3, diskMegabytes)
	actions := []func(*powerRig){(*powerRig).hangLeader, (*powerRig).hangFollower, (*powerRig).slowLeader, (*powerRig).slowFollower}
	for n := range p.pick(1, slowDiskRounds) {
		rig.stage.round(n, func(c *crew) {
			for _, i := range p.rand.Perm(len(actions)) {
				time.Sleep(p.between(0, loadBetween))
				actions[i](rig)
				c.waitAcks(acksBetween)
			}
		})
	}
}

func (r *powerRig) hangLeader() { r.hang("hung disk of the leader", r.stage.cluster.Leader()) }

func (r *powerRig) hangFollower() {
	r.hang("hung disk of a follower", r.stage.follower())
}

// follower draws one.
func (s *stage) follower() *harness.Node {
	s.t.Helper()
	followers := s.cluster.Followers()
	return followers[s.plan.rand.IntN(len(followers))]
}

// hang makes a disk hang, and go on.
func (r *powerRig) hang(kind string, n *harness.Node) {
	s := r.stage
	s.t.Helper()
	s.fault(kind)
	defer s.away(n)()
	if err := r.disks[n].Freeze(); err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(s.plan.between(hungMin, hungMax))
	if err := r.disks[n].Thaw(); err != nil {
		s.t.Fatal(err)
	}
	n.WaitReady()
}

func (r *powerRig) slowLeader() { r.slow("slow disk of the leader", r.stage.cluster.Leader()) }

func (r *powerRig) slowFollower() { r.slow("slow disk of a follower", r.stage.follower()) }

// slow makes each fsync of a node take some time more.
func (r *powerRig) slow(kind string, n *harness.Node) {
	s := r.stage
	s.t.Helper()
	s.fault(kind)
	defer s.away(n)()
	tracer, err := harness.StartProcess(n.LogPath, nil, "strace", "-f", "-qqq", "-e", "signal=none", "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprintf("inject=fsync,fdatasync:delay_exit=%d", slowSync.Microseconds()), "-o", os.DevNull, "-p", strconv.Itoa(n.Pid()))
	if err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(s.plan.between(slowMin, slowMax))
	if err := tracer.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(fmt.Errorf("let go of %s: %w", n.ID, err))
	}
	if _, err := tracer.Wait(tracerWithin); err != nil {
		s.t.Fatal(err)
	}
	n.WaitReady()
}
