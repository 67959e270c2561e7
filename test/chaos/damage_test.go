package chaos

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	damageRounds = 6 // of the whole battery
	flipsMax     = 8
	flipTries    = 200 // to find a byte that was written, in a file with room to grow
	cutInFive    = 2   // of five damaged files so many are cut short
	damagedMin   = 300 * time.Millisecond
	damagedMax   = 1500 * time.Millisecond
	beginWithin  = 30 * time.Second
	lockFile     = "lock" // holds nothing
)

// TestDamagedAndOldDisksLoseNothing changes what one node has on its disk, while
// it is down and while it runs, and puts an earlier state of a disk in the place
// of a later one. A node must find what is wrong or not be harmed by it; one that
// refuses is emptied and filled anew, as an operator would do it. What the
// cluster holds, and what clients are told, is not touched by it.
func TestDamagedAndOldDisksLoseNothing(t *testing.T) {
	p := require(t)
	cluster := harness.NewCluster(t, 3, append(append([]string{}, clientArgs...), tightArgs...)...)
	cluster.Start()
	cluster.WaitReady()
	s := newStage(t, p, cluster)
	actions := []func(*stage){
		(*stage).damageDown, (*stage).damageRunning, (*stage).damageDown, (*stage).damageRunning,
		(*stage).oldDisk, (*stage).oldDiskAndNoLeader,
	}
	s.outcomes = map[string]int{}
	defer func() { t.Logf("%s", counts(s.outcomes)) }()
	for n := range p.pick(1, damageRounds) {
		s.round(n, func(c *crew) {
			for _, i := range p.rand.Perm(len(actions))[:p.pick(3, len(actions))] {
				time.Sleep(p.between(0, loadBetween))
				actions[i](s)
				c.waitAcks(acksBetween)
			}
		})
	}
}

// damageDown damages a file of a node that does not run.
func (s *stage) damageDown() {
	s.t.Helper()
	n := s.any(1)[0]
	defer s.away(n)()
	n.Kill()
	what := s.damage(n)
	n.Start()
	s.judgeDamaged(n, what)
}

// damageRunning damages a file under a node that runs, which may end of it, and
// later starts the node anew.
func (s *stage) damageRunning() {
	s.t.Helper()
	n := s.any(1)[0]
	defer s.away(n)()
	what := s.damage(n)
	time.Sleep(s.plan.between(damagedMin, damagedMax))
	if n.Running() {
		if _, err := n.Checksum(); n.Running() && err != nil {
			s.found("found by a running node")
		}
	} else {
		s.found("ended a running node")
	}
	n.End()
	n.Start()
	s.judgeDamaged(n, what)
}

// judgeDamaged waits until a node that was started has made up its mind. If it
// has found damage, it is emptied and comes back.
func (s *stage) judgeDamaged(n *harness.Node, what string) {
	s.t.Helper()
	ready := false
	harness.Eventually(s.t, beginWithin, fmt.Sprintf("%s, whose %s, is ready or ends", n.ID, what), func() error {
		ready = n.Running() && n.Ready() == nil
		if ready || !n.Running() {
			return nil
		}
		return errors.New("neither")
	})
	if ready {
		if _, err := n.Checksum(); err == nil {
			s.found("without effect")
			return // what it holds is compared with the others' at the end of the round
		}
		s.found("found by reading")
		n.End()
	} else {
		s.found("found at start")
		if log := n.Log(); !strings.Contains(log, "corrupt") && !strings.Contains(log, "damage") {
			s.t.Fatalf("%s, whose %s, ended and does not say why:\n%s", n.ID, what, log)
		}
	}
	if err := os.RemoveAll(n.Dir); err != nil {
		s.t.Fatal(err)
	}
	n.Start()
	n.WaitReady()
	s.waitVoters()
}

// found counts what became of a damage.
func (s *stage) found(what string) { s.outcomes["damage "+what]++ }

// waitVoters waits until all nodes have a vote again: one that was emptied gets
// it when it has been caught up for a while, and until then no other may go.
func (s *stage) waitVoters() {
	s.t.Helper()
	harness.Eventually(s.t, healWithin, "all nodes have a vote", func() error {
		status, err := s.cluster.Leader().Status()
		if err != nil {
			return err
		}
		for _, m := range status.Members {
			if !m.Voter {
				return fmt.Errorf("%s has none", m.ID)
			}
		}
		if len(status.Members) != len(s.cluster.Nodes) {
			return fmt.Errorf("%d members of %d", len(status.Members), len(s.cluster.Nodes))
		}
		return nil
	})
}

// damage flips bits in some file of a node or cuts it short, and tells what it
// did.
func (s *stage) damage(n *harness.Node) string {
	s.t.Helper()
	byStore := map[string][]string{}
	err := filepath.WalkDir(n.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, os.ErrNotExist) { // of a process that runs
				return nil
			}
			return err
		}
		if info, err := d.Info(); err != nil || !info.Mode().IsRegular() || info.Size() == 0 || d.Name() == lockFile {
			return nil
		}
		rel, err := filepath.Rel(n.Dir, path)
		store, _, _ := strings.Cut(rel, string(filepath.Separator))
		byStore[store] = append(byStore[store], path)
		return err
	})
	if err != nil || len(byStore) == 0 {
		s.t.Fatalf("look for files of %s: %d stores, %v", n.ID, len(byStore), err)
	}
	for range flipTries {
		stores := sortedKeys(byStore)
		store := stores[s.plan.rand.IntN(len(stores))]
		path := byStore[store][s.plan.rand.IntN(len(byStore[store]))]
		what, err := s.damageFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed by its process
		}
		if err != nil {
			s.t.Fatal(err)
		}
		rel, _ := filepath.Rel(n.Dir, path)
		s.fault("damage: " + store)
		s.t.Logf("%s: %s %s", n.ID, rel, what)
		return rel + " " + what
	}
	s.t.Fatalf("no file of %s stays long enough to be damaged", n.ID)
	return ""
}

func (s *stage) damageFile(path string) (what string, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close() // nothing is to be kept safe here
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	size := info.Size()
	if s.plan.rand.IntN(5) < cutInFive {
		end := s.plan.rand.Int64N(size)
		return fmt.Sprintf("was cut from %d to %d bytes", size, end), f.Truncate(end)
	}
	flips, at := 1+s.plan.rand.IntN(flipsMax), int64(0)
	for range flips {
		var one [1]byte
		for range flipTries {
			at = s.plan.rand.Int64N(size)
			if _, err := f.ReadAt(one[:], at); err != nil {
				return "", err
			}
			if one[0] != 0 {
				break
			}
		}
		one[0] ^= 1 << s.plan.rand.IntN(8)
		if _, err := f.WriteAt(one[:], at); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("had %d bits flipped, the last at byte %d of %d", flips, at, size), nil
}

// oldDisk puts an earlier state of a node's directory in the place of a later
// one, as who restores the wrong backup of a machine: the node has forgotten
// entries that it had acknowledged, and maybe a vote.
func (s *stage) oldDisk() {
	s.t.Helper()
	n := s.any(1)[0]
	s.fault("old disk restored")
	defer s.away(n)()
	s.goBack(n)
	n.Start()
	n.WaitReady()
}

// oldDiskAndNoLeader is oldDisk, and the leader dies at the moment when the node
// is there again. The node that is left was needed for all that was acknowledged
// in between, and has it.
func (s *stage) oldDiskAndNoLeader() {
	s.t.Helper()
	n := s.any(1)[0]
	s.fault("old disk restored, leader killed")
	defer s.away(s.cluster.Nodes...)()
	s.goBack(n)
	leader := s.cluster.Leader()
	n.Start()
	time.Sleep(s.plan.between(0, loadBetween))
	leader.Kill()
	n.WaitReady()
	leader.Start()
	leader.WaitReady()
}

// goBack leaves a node down, with its directory as it was some appends before.
func (s *stage) goBack(n *harness.Node) {
	s.t.Helper()
	old := n.Dir + ".old"
	n.Kill()
	if err := os.CopyFS(old, os.DirFS(n.Dir)); err != nil {
		s.t.Fatal(fmt.Errorf("copy the directory of %s: %w", n.ID, err))
	}
	n.Start()
	n.WaitReady()
	s.open.waitAcks(acksBetween)
	n.Kill()
	s.open.waitAcks(acksBetween)
	if err := errors.Join(os.RemoveAll(n.Dir), os.Rename(old, n.Dir)); err != nil {
		s.t.Fatal(fmt.Errorf("put the old directory of %s in its place: %w", n.ID, err))
	}
}
