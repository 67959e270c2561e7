package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	voteWithin    = 30 * time.Second
	removedWithin = 20 * time.Second
)

// TestThreeToFiveToThreeUnderLoad grows and shrinks a cluster with the commands
// an operator has, under plain appends of which none may fail.
func TestThreeToFiveToThreeUnderLoad(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	l := startPlain(t, c.URLs())
	l.waitAcks(acksPerRound)
	dir := harness.Dir(t)
	var added []*harness.Node
	for _, id := range []string{"n4", "n5"} {
		n := harness.NewNode(t, dir, id)
		n.Join = []string{c.Nodes[1].GossipAddr}
		n.Start()
		n.WaitReady()
		added = append(added, n)
		waitVoter(t, c.Nodes[0], id)
		l.waitAcks(acksPerRound)
	}
	five := members(t, c.Nodes[0])
	operate(t, c.Nodes[0], "transfer-leader", "n5") // so that a leader is removed too
	for _, id := range []string{"n5", "n4"} {
		operate(t, c.Nodes[2], "remove", id)
		l.waitAcks(acksPerRound)
	}
	if got := members(t, c.Nodes[0]); len(five) != 5 || len(got) != 3 {
		t.Fatalf("members were %v and are %v", five, got)
	}
	for _, n := range added {
		n.Exit(removedWithin)
		n.Start()
		if code := n.Exit(refusedWithin); code != 1 || !strings.Contains(n.Log(), "was removed from cluster") {
			t.Errorf("%s came back with its old data: exit code %d\n%s", n.ID, code, n.Log())
		}
	}
	l.finish()
	l.check(c)
	t.Logf("members %v, then %v; longest gap between acknowledgements %v", five, members(t, c.Nodes[0]), l.gap.Longest())

	// Emptied, it may come as a new member.
	n := added[0]
	wipe(t, n)
	n.Start()
	n.WaitReady()
	waitVoter(t, c.Nodes[0], n.ID)
}

func TestARemovalThatWouldCostTheQuorumIsRefused(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	c.Followers()[0].Kill()
	leader := c.Leader()
	other := c.Followers()[0]
	if !other.Running() {
		other = c.Followers()[1]
	}
	if out, err := tryOperate(t, leader, "remove", other.ID); err == nil || !strings.Contains(out, "in reach") {
		t.Fatalf("got %q, %v", out, err)
	}
	if got := members(t, leader); len(got) != 3 {
		t.Fatalf("members are %v", got)
	}
}

// TestAWipedNodeReturnsWithoutAVote empties a node's directory: it comes back as
// a learner, is filled, and only then votes.
func TestAWipedNodeReturnsWithoutAVote(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	l := startPlain(t, c.URLs()[:2])
	l.waitAcks(acksPerRound)
	n := c.Nodes[2]
	n.Kill()
	wipe(t, n)
	time.Sleep(apartBy) // until the others do not count it as alive
	n.Start()
	learner := false
	harness.Eventually(t, voteWithin, "the wiped node votes again", func() error {
		s, err := c.Nodes[0].Status()
		if err != nil {
			return err
		}
		at := slices.IndexFunc(s.Members, func(m harness.Member) bool { return m.ID == n.ID })
		if at < 0 || !s.Members[at].Voter {
			learner = true
		}
		if at < 0 || !s.Members[at].Voter || !learner {
			return fmt.Errorf("members %+v", s.Members)
		}
		return nil
	})
	n.WaitReady()
	l.waitAcks(acksPerRound)
	l.finish()
	l.check(c)
}

func TestALostStableStoreKeepsANodeFromVoting(t *testing.T) {
	harness.Require(t)
	damages := map[string]func(path string) error{
		"lost":      os.Remove,
		"emptied":   func(path string) error { return os.Truncate(path, 0) },
		"corrupted": overwrite,
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			c := harness.StartCluster(t, 3)
			n := c.Followers()[0]
			n.Kill()
			if err := damage(filepath.Join(n.Dir, stableFile)); err != nil {
				t.Fatal(err)
			}
			n.Start()
			if code := n.Exit(refusedWithin); code != 1 {
				t.Fatalf("exit code %d, want 1\n%s", code, n.Log())
			}
			if said := n.Log(); !strings.Contains(said, "mainstem recover refill") {
				t.Fatalf("the refusal does not say what to do:\n%s", said)
			}
			time.Sleep(apartBy)
			wipe(t, n)
			n.Start()
			n.WaitReady()
		})
	}
}

// stableFile is where a node keeps its term and vote.
const stableFile = "stable.db"

func overwrite(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	junk := []byte(strings.Repeat("\xa5", 512))
	for at := int64(0); at+512 <= info.Size(); at += 1024 {
		if _, err := f.WriteAt(junk, at); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

func wipe(t *testing.T, n *harness.Node) {
	t.Helper()
	if err := os.RemoveAll(n.Dir); err != nil {
		t.Fatal(err)
	}
}

func waitVoter(t *testing.T, at *harness.Node, id string) {
	t.Helper()
	harness.Eventually(t, voteWithin, id+" votes", func() error {
		s, err := at.Status()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(s.Members, func(m harness.Member) bool { return m.ID == id && m.Voter }) {
			return fmt.Errorf("members %+v", s.Members)
		}
		return nil
	})
}

func members(t *testing.T, at *harness.Node) []string {
	t.Helper()
	s, err := at.Status()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range s.Members {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	return ids
}

// operate runs mainstem cluster against a node.
func operate(t *testing.T, at *harness.Node, words ...string) {
	t.Helper()
	if out, err := tryOperate(t, at, words...); err != nil {
		t.Fatalf("mainstem cluster %q: %v\n%s", words, err, out)
	}
}

func tryOperate(t *testing.T, at *harness.Node, words ...string) (string, error) {
	cmd := exec.Command(harness.Binary(t), append([]string{"cluster", "--url", at.URL()}, words...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
