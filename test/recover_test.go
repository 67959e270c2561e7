package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	survivorWriters = 8
	acksBefore      = 400
	acksUnderKill   = 200
	settleTime      = 2 * time.Second
)

// lines is a set of writers, each with a stream of its own, to which it appends
// numbered lines until an append fails. Nothing is tried again.
type lines struct {
	acked [survivorWriters]atomic.Int64
	stop  chan struct{}
	wait  sync.WaitGroup
}

func linesStream(w int) string { return fmt.Sprintf("survivor/%d", w) }

func startLines(t *testing.T, urls []string) *lines {
	t.Helper()
	l := &lines{stop: make(chan struct{})}
	for w := range survivorWriters {
		client := harness.NewClient(urls[w%len(urls)])
		if a, err := client.Create(linesStream(w), harness.Headers("Content-Type", text), ""); err != nil || a.Status != 201 {
			t.Fatalf("create: %s, %v", a, err)
		}
		l.wait.Go(func() { l.write(w, client) })
	}
	return l
}

func (l *lines) write(w int, client *harness.Client) {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		a, err := client.Append(linesStream(w), harness.Headers("Content-Type", text), fmt.Sprintf("%d\n", l.acked[w].Load()))
		if err != nil || a.Status != 204 {
			return
		}
		l.acked[w].Add(1)
	}
}

func (l *lines) waitAcks(t *testing.T, n int64) (mark [survivorWriters]int64) {
	t.Helper()
	begin := l.total()
	harness.Eventually(t, ackWithin, "acknowledgements", func() error {
		if got := l.total() - begin; got < n {
			return fmt.Errorf("%d of %d", got, n)
		}
		return nil
	})
	for w := range mark {
		mark[w] = l.acked[w].Load()
	}
	return mark
}

func (l *lines) total() (n int64) {
	for w := range l.acked {
		n += l.acked[w].Load()
	}
	return n
}

// held reads what a node has of each stream: lines from 0 on, each once and in
// order, whatever their number.
func (l *lines) held(t *testing.T, n *harness.Node) (counts [survivorWriters]int64) {
	t.Helper()
	for w := range counts {
		content, err := n.Client().ReadAll(linesStream(w), "-1", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Fields(string(content.Bytes())) {
			if line != fmt.Sprint(i) {
				t.Fatalf("stream %d: line %d is %q", w, i, line)
			}
			counts[w]++
		}
	}
	return counts
}

// recoverWith runs mainstem recover.
func recoverWith(t *testing.T, words ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(harness.Binary(t), append([]string{"recover"}, words...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func mustRecover(t *testing.T, words ...string) string {
	t.Helper()
	out, errs, code := recoverWith(t, words...)
	if code != 0 {
		t.Fatalf("mainstem recover %q: exit code %d\n%s%s", words, code, out, errs)
	}
	return out
}

func refusesToRecover(t *testing.T, why string, words ...string) {
	t.Helper()
	if out, errs, code := recoverWith(t, words...); code != 1 || !strings.Contains(errs, why) {
		t.Fatalf("mainstem recover %q: exit code %d, want 1 and %q\n%s%s", words, code, why, out, errs)
	}
}

// TestTheSurvivorOfALostMajorityGoesOn kills two of three nodes for ever, under
// load, and makes a new cluster of the third.
func TestTheSurvivorOfALostMajorityGoesOn(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	l := startLines(t, c.URLs())
	mark := l.waitAcks(t, acksBefore)
	time.Sleep(settleTime) // what was acknowledged before mark is on all three
	l.waitAcks(t, acksUnderKill)
	base := c.Followers()[0]
	lost := c.Leader()
	other := c.Followers()[1]
	refusesToRecover(t, "is in use by another mainstem", "plan", base.Dir)
	lost.Kill()
	other.Kill()
	close(l.stop)
	l.wait.Wait()
	base.Kill()

	said := mustRecover(t, "plan", base.Dir)
	for _, want := range []string{"MAY BE LOST", "base " + base.ID + "; cluster ", "is the only voter at first", "it ends at entry "} {
		if !strings.Contains(said, want) {
			t.Fatalf("the plan does not say %q:\n%s", want, said)
		}
	}
	plan := filepath.Join(filepath.Dir(base.Dir), "plan.json")
	if err := os.WriteFile(plan, []byte(mustRecover(t, "plan", "--json", base.Dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	refusesToRecover(t, "nothing was changed; add --yes", "apply", "--plan", plan, "--data-dir", base.Dir)
	mustRecover(t, "apply", "--plan", plan, "--data-dir", base.Dir, "--yes")
	mustRecover(t, "apply", "--plan", plan, "--data-dir", base.Dir, "--yes")
	base.Start()
	base.WaitReady()
	held, missing := l.held(t, base), int64(0)
	for w := range held {
		if held[w] < mark[w] {
			t.Fatalf("stream %d: %d lines were on all nodes and %d are there", w, mark[w], held[w])
		}
		missing += max(0, l.acked[w].Load()-held[w])
	}
	t.Logf("%d appends acknowledged, %d of the last of them were held by the lost nodes alone", l.total(), missing)

	term := status(t, base).Term
	comesBackInVain(t, lost)
	comesBackInVain(t, other)
	if st := status(t, base); st.Term != term || st.Leader != base.ID {
		t.Fatalf("old nodes changed the new cluster: term %d, then %+v", term, st)
	}
	threeAgain(t, c, base, lost, l, held)
}

func status(t *testing.T, n *harness.Node) harness.Status {
	t.Helper()
	s, err := n.Status()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// comesBackInVain starts a lost node with its old directory.
func comesBackInVain(t *testing.T, n *harness.Node) {
	t.Helper()
	n.Start()
	n.Exit(removedWithin)
	if said := n.Log(); !strings.Contains(said, "it was recovered after the loss of a majority") {
		t.Fatalf("%s does not say why it stops:\n%s", n.ID, said)
	}
	n.Start()
	if code := n.Exit(refusedWithin); code != 1 || !strings.Contains(n.Log(), "mainstem recover refill") {
		t.Fatalf("%s started again: exit code %d\n%s", n.ID, code, n.Log())
	}
}

// threeAgain brings a lost node back without its data, and a new one.
func threeAgain(t *testing.T, c *harness.Cluster, base, lost *harness.Node, l *lines, held [survivorWriters]int64) {
	t.Helper()
	refusesToRecover(t, "add --yes", "refill", "--data-dir", lost.Dir)
	mustRecover(t, "refill", "--data-dir", lost.Dir, "--yes")
	fresh := harness.NewNode(t, filepath.Dir(base.Dir), "n4")
	fresh.Join = []string{base.GossipAddr}
	for _, n := range []*harness.Node{lost, fresh} {
		n.Start()
		n.WaitReady()
		waitVoter(t, base, n.ID)
	}
	if a, err := harness.NewClient(fresh.URL()).Append(linesStream(0), harness.Headers("Content-Type", text), fmt.Sprintf("%d\n", held[0])); err != nil || a.Status != 204 {
		t.Fatalf("append after the recovery: %s, %v", a, err)
	}
	held[0]++
	for _, n := range []*harness.Node{base, lost, fresh} {
		if got := l.held(t, n); got != held {
			t.Fatalf("%s holds %v lines, want %v", n.ID, got, held)
		}
	}
	c.Nodes = []*harness.Node{base, lost, fresh}
	c.WaitEqual()
}

// TestADamagedNodeIsRefilledByOneCommand is one kind of damage with real
// processes; package recovery tests them all.
func TestADamagedNodeIsRefilledByOneCommand(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	l := startPlain(t, c.URLs()[:2])
	l.waitAcks(acksPerRound)
	n := c.Nodes[2]
	n.Stop()
	refusesToRecover(t, "nothing is damaged", "refill", "--data-dir", n.Dir, "--yes")
	segments, err := filepath.Glob(filepath.Join(n.Dir, "log", "*.wal"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no segments: %v", err)
	}
	flipEarly(t, segments[0])
	n.Start()
	if code := n.Exit(refusedWithin); code != 1 || !strings.Contains(n.Log(), filepath.Base(segments[0])) || !strings.Contains(n.Log(), "mainstem recover refill --data-dir "+n.Dir) {
		t.Fatalf("exit code %d, want 1, the file and the command\n%s", code, n.Log())
	}
	refusesToRecover(t, "add --yes", "refill", "--data-dir", n.Dir)
	said := mustRecover(t, "refill", "--data-dir", n.Dir, "--yes")
	if !strings.Contains(said, "damaged raft log") || !strings.Contains(said, filepath.Base(segments[0])) {
		t.Fatalf("it does not say what it found:\n%s", said)
	}
	if kept, _ := filepath.Glob(filepath.Join(n.Dir, "quarantine-*", "log", "*.wal")); len(kept) == 0 {
		t.Fatal("the damaged log was not kept")
	}
	time.Sleep(apartBy)
	n.Start()
	n.WaitReady()
	waitVoter(t, c.Nodes[0], n.ID)
	l.waitAcks(acksPerRound)
	l.finish()
	l.check(c)
}

// flipEarly flips a bit in the first entries of a log segment.
func flipEarly(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	const at = 300
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
