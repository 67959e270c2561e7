package test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mainstem/test/harness"
)

const (
	diskMegabytes  = 256
	fillers        = 6
	fillBytes      = 256 << 10
	streamAppends  = 40 // of fillBytes, then the next stream
	fillWithin     = 4 * time.Minute
	stayFull       = 4 * time.Second // for which nothing must be taken
	healWithin     = 90 * time.Second
	fullSoon       = 5 * time.Second
	leftOverBytes  = 256 << 10
	watermarkFull  = 2
	typeBinary     = "application/octet-stream"
	keptMessages   = 20
	insufficient   = 507
	reasonNoSpace  = `"reason":"INSUFFICIENT_STORAGE"`
	noReconnection = "10m"
)

// smallDiskArgs keep what is not data small, so that the disk fills with data.
var smallDiskArgs = []string{"--mem-table-bytes", "4MiB", "--raft-snapshot-bytes", "16MiB", "--raft-trailing-bytes", "4MiB",
	"--sse-reconnect-interval", noReconnection}

// smallDisks starts three nodes, each on a small disk of its own.
func smallDisks(t *testing.T) (*harness.Cluster, map[*harness.Node]*harness.Disk) {
	t.Helper()
	harness.Require(t)
	if err := harness.DiskRefusal(); err != nil {
		t.Skipf("no small disks can be made here: %v", err)
	}
	dir := harness.Dir(t)
	var made []*harness.Disk // before the nodes: what is made last is ended first
	for i := range 3 {
		made = append(made, harness.NewDisk(t, dir, fmt.Sprintf("disk%d", i+1), diskMegabytes))
	}
	c := harness.NewCluster(t, 3, smallDiskArgs...)
	disks := map[*harness.Node]*harness.Disk{}
	for i, n := range c.Nodes {
		disks[n] = made[i]
		n.Dir = made[i].Mount + "/data"
	}
	c.Start()
	c.WaitReady()
	return c, disks
}

// poured is a stream and what of it was acknowledged.
type poured struct {
	name  string
	sum   hash.Hash
	bytes int
	doubt bool // an append was neither acknowledged nor refused
}

// pour appends to streams of its own until stop says so after an answer, through
// all nodes in turn.
func pour(t *testing.T, c *harness.Cluster, id int, stop func(*harness.Node, harness.Answer) bool) (streams []*poured) {
	random := rand.NewChaCha8([32]byte{byte(id)})
	body := make([]byte, fillBytes)
	h := harness.Headers("Content-Type", typeBinary)
	var now *poured
	created := false
	clients := map[*harness.Node]*harness.Client{}
	for _, n := range c.Nodes {
		clients[n] = n.Client()
	}
	for i := id; ; i++ {
		n := c.Nodes[i%len(c.Nodes)]
		if now == nil {
			now = &poured{name: fmt.Sprintf("poured-%d-%d", id, len(streams)), sum: sha256.New()}
			streams, created = append(streams, now), false
		}
		var a harness.Answer
		var err error
		if !created {
			a, err = clients[n].Create(now.name, h, "")
			created = err == nil && a.Status < 300
		}
		if created {
			random.Read(body)
			if a, err = clients[n].Append(now.name, h, string(body)); err == nil && a.Status < 300 {
				now.sum.Write(body)
				now.bytes += len(body)
			}
		}
		switch {
		case err != nil:
			t.Errorf("pour through %s: %v", n.ID, err)
			return streams
		case a.Status == insufficient && (!strings.Contains(string(a.Body), reasonNoSpace) || a.Header.Get("Retry-After") == ""),
			a.Status >= 300 && a.Status != insufficient && a.Status != 503:
			t.Errorf("pour through %s: %s", n.ID, a)
			return streams
		case a.Status == 503:
			now.doubt = true
			now = nil
		case now.bytes >= streamAppends*fillBytes:
			now = nil
		}
		if stop(n, a) {
			return streams
		}
	}
}

// fill pours until every node has refused everything for some time.
func fill(t *testing.T, c *harness.Cluster) (streams []*poured) {
	t.Helper()
	var mu sync.Mutex
	refusedBy, taken := map[string]int{}, time.Now()
	began := taken
	stop := func(n *harness.Node, a harness.Answer) bool {
		mu.Lock()
		defer mu.Unlock()
		if a.Status == insufficient {
			refusedBy[n.ID]++
			time.Sleep(time.Millisecond) // refusals are quick
		} else {
			clear(refusedBy)
			taken = time.Now()
		}
		return t.Failed() || len(refusedBy) == len(c.Nodes) && time.Since(taken) > stayFull || time.Since(began) > fillWithin
	}
	var wait sync.WaitGroup
	for id := range fillers {
		wait.Go(func() {
			mine := pour(t, c, id, stop)
			mu.Lock()
			defer mu.Unlock()
			streams = append(streams, mine...)
		})
	}
	wait.Wait()
	total := 0
	for _, s := range streams {
		total += s.bytes
	}
	t.Logf("%d MiB in %d streams were taken within %v", total>>20, len(streams), time.Since(began).Round(time.Millisecond))
	if t.Failed() || len(refusedBy) < len(c.Nodes) {
		t.Fatalf("the disks were to be full; refused by %v", refusedBy)
	}
	return streams
}

// tails follows a stream on each node, and hands out what comes.
func tails(t *testing.T, c *harness.Cluster, name string) map[*harness.Node]chan string {
	t.Helper()
	got := map[*harness.Node]chan string{}
	for _, n := range c.Nodes {
		tail, err := n.Client().Tail(context.Background(), name, "now")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(tail.Close)
		lines := make(chan string, keptMessages)
		got[n] = lines
		go func() {
			defer close(lines)
			for {
				e, err := tail.Next()
				if err != nil {
					return // the channel tells
				}
				if e.Name == "data" {
					lines <- e.Data
				}
			}
		}()
	}
	return got
}

// tellsFull reports whether a node says that its own disk is full, and wants it to
// say the same everywhere.
func tellsFull(t *testing.T, n *harness.Node) bool {
	t.Helper()
	var full bool
	harness.Eventually(t, fullSoon, "one word from "+n.ID, func() error {
		mark, err := metric(n, "mainstem_disk_watermark")
		if err != nil {
			return err
		}
		full = mark == watermarkFull
		if err := n.Ready(); full != (err != nil && strings.Contains(err.Error(), "the disk is full")) {
			return fmt.Errorf("the mark is %v, readiness %w", mark, err)
		}
		return nil
	})
	return full
}

// refusing wants a node that is up to refuse data and to serve what it can.
func refusing(t *testing.T, n *harness.Node) {
	t.Helper()
	if !n.Running() {
		t.Fatalf("%s has ended:\n%s", n.ID, n.Log())
	}
	a, err := n.Client().Append("kept", harness.Headers("Content-Type", text), "no")
	if err != nil || a.Status != insufficient {
		t.Fatalf("append through %s: %s, %v", n.ID, a, err)
	}
	if out, err := metric(n, "mainstem_cluster_out_of_space"); err != nil || out < 1 {
		t.Fatalf("mainstem_cluster_out_of_space of %s: %v, %v", n.ID, out, err)
	}
	for _, path := range []string{"/livez", "/healthz", "/v1/cluster/status"} {
		if a, err := n.Client().Get(path, nil); err != nil || a.Status != 200 {
			t.Fatalf("%s at %s: %s, %v", path, n.ID, a, err)
		}
	}
	content, err := n.Client().ReadAll("kept", "-1", nil)
	if want := strings.Repeat("kept", keptMessages); err != nil || string(content.Bytes()) != want {
		t.Fatalf("read through %s: %d bytes, %v", n.ID, len(content.Bytes()), err)
	}
}

func keep(t *testing.T, c *harness.Cluster) {
	t.Helper()
	client := c.Nodes[0].Client()
	h := harness.Headers("Content-Type", text)
	if a, err := client.Create("kept", h, ""); err != nil || a.Status != 201 {
		t.Fatalf("%s, %v", a, err)
	}
	for range keptMessages {
		if a, err := client.Append("kept", h, "kept"); err != nil || a.Status != 204 {
			t.Fatalf("%s, %v", a, err)
		}
	}
}

// heals wants an append through each node to be taken again, and each tail to
// show them.
func heals(t *testing.T, c *harness.Cluster, pids []int, follow map[*harness.Node]chan string) {
	t.Helper()
	began := time.Now()
	h := harness.Headers("Content-Type", text)
	for _, n := range c.Nodes {
		harness.Eventually(t, healWithin, "an append through "+n.ID+" with space again", func() error {
			a, err := n.Client().Append("kept", h, "again through "+n.ID)
			if err == nil && a.Status != 204 {
				err = &harness.Refused{Answer: a}
			}
			return err
		})
	}
	t.Logf("appends are taken again after %v", time.Since(began).Round(time.Millisecond))
	c.WaitReady()
	for i, n := range c.Nodes {
		if n.Pid() != pids[i] {
			t.Fatalf("%s was restarted", n.ID)
		}
		seen := ""
		for deadline := time.After(fullSoon); !strings.Contains(seen, "again through n3"); {
			select {
			case data, ok := <-follow[n]:
				if !ok {
					t.Fatalf("the tail on %s ended after %q", n.ID, seen)
				}
				seen += data
			case <-deadline:
				t.Fatalf("the tail on %s has %q", n.ID, seen)
			}
		}
		if want := "again through n1again through n2again through n3"; seen != want {
			t.Fatalf("the tail on %s has %q, want %q", n.ID, seen, want)
		}
	}
}

func pids(c *harness.Cluster) (all []int) {
	for _, n := range c.Nodes {
		all = append(all, n.Pid())
	}
	return all
}

// TestFullDisksRefuseDataAndHealByDeletes fills three disks with data: no node
// ends, what was acknowledged is there, and deleting is all that it takes.
func TestFullDisksRefuseDataAndHealByDeletes(t *testing.T) {
	c, _ := smallDisks(t)
	keep(t, c)
	follow, were := tails(t, c, "kept"), pids(c)
	streams := fill(t, c)
	full := 0
	for _, n := range c.Nodes {
		refusing(t, n)
		if tellsFull(t, n) {
			full++
		}
	}
	if full == 0 {
		t.Fatal("data is refused and no node says that its disk is full")
	}
	var left []*poured
	for i, s := range streams {
		if i%3 == 0 {
			left = append(left, s)
			continue
		}
		n := c.Nodes[i%len(c.Nodes)]
		if a, err := n.Client().Delete(s.name); err != nil || a.Status != 204 && a.Status != 404 {
			t.Fatalf("delete through %s: %s, %v", n.ID, a, err)
		}
	}
	heals(t, c, were, follow)
	for i, s := range left {
		content, err := c.Nodes[i%len(c.Nodes)].Client().ReadAll(s.name, "-1", nil)
		if s.bytes == 0 && err != nil {
			continue // its creation was refused
		}
		if err != nil {
			t.Fatal(err)
		}
		data := content.Bytes()
		if len(data) < s.bytes || !s.doubt && len(data) != s.bytes {
			t.Fatalf("%s has %d bytes, %d were acknowledged", s.name, len(data), s.bytes)
		}
		if sum := sha256.Sum256(data[:s.bytes]); string(sum[:]) != string(s.sum.Sum(nil)) {
			t.Fatalf("%s is not what was acknowledged", s.name)
		}
	}
	t.Logf("copies equal: %+v", c.WaitEqual())
}

// TestOneFullDiskStopsDataUntilThereIsSpace takes the space of one node away at
// once, and gives it back.
func TestOneFullDiskStopsDataUntilThereIsSpace(t *testing.T) {
	c, disks := smallDisks(t)
	keep(t, c)
	follow, were := tails(t, c, "kept"), pids(c)
	for round, victim := range []*harness.Node{c.Leader(), c.Followers()[0]} {
		hog := disks[victim].Mount + "/hog"
		if err := takeSpace(hog); err != nil {
			t.Fatal(err)
		}
		for _, n := range c.Nodes {
			harness.Eventually(t, fullSoon, "a refusal by "+n.ID, func() error {
				if out, err := metric(n, "mainstem_cluster_out_of_space"); err != nil || out != 1 {
					return fmt.Errorf("%v members out of space, %w", out, err)
				}
				return nil
			})
			refusing(t, n)
			if got := tellsFull(t, n); got != (n == victim) {
				t.Fatalf("%s: full %v; the disk of %s is", n.ID, got, victim.ID)
			}
		}
		if ballast, err := metric(victim, "mainstem_ballast_bytes"); err != nil || ballast != 0 {
			t.Fatalf("the ballast of %s: %v, %v; want it given up", victim.ID, ballast, err)
		}
		if err := os.Remove(hog); err != nil {
			t.Fatal(err)
		}
		if round == 1 {
			heals(t, c, were, follow)
		}
		harness.Eventually(t, healWithin, "ready, with a ballast", func() error {
			if err := victim.Ready(); err != nil {
				return err
			}
			if ballast, err := metric(victim, "mainstem_ballast_bytes"); err != nil || ballast == 0 {
				return fmt.Errorf("ballast %v, %w", ballast, err)
			}
			return nil
		})
	}
	c.WaitEqual()
}

// takeSpace takes nearly all that is free, also what is reserved for root.
func takeSpace(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close() // its length is all that matters
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &s); err != nil {
		return err
	}
	for size := int64(s.Bfree)*s.Bsize - leftOverBytes; size > 0; size -= 1 << 20 {
		if err = unix.Fallocate(int(f.Fd()), 0, 0, size); err == nil {
			return nil
		}
	}
	return fmt.Errorf("take the space for %s: %w", path, err)
}

// oneOnASmallDisk starts a single node.
func oneOnASmallDisk(t *testing.T, args ...string) (*harness.Node, *harness.Disk) {
	t.Helper()
	harness.Require(t)
	if err := harness.DiskRefusal(); err != nil {
		t.Skipf("no small disks can be made here: %v", err)
	}
	dir := harness.Dir(t)
	disk := harness.NewDisk(t, dir, "disk", diskMegabytes)
	c := harness.NewCluster(t, 1, append(args, smallDiskArgs...)...)
	n := c.Nodes[0]
	n.Dir = disk.Mount + "/data"
	n.Start()
	n.WaitReady()
	keep(t, c)
	return n, disk
}

// TestANodeStartsOnAFullDisk fills the disk of a node that is away: it starts with
// the help of its ballast, refuses data, serves reads and deletes, and heals.
func TestANodeStartsOnAFullDisk(t *testing.T) {
	n, disk := oneOnASmallDisk(t)
	if a, err := n.Client().Create("goes", harness.Headers("Content-Type", text), "x"); err != nil || a.Status != 201 {
		t.Fatalf("%s, %v", a, err)
	}
	n.Kill()
	hog := disk.Mount + "/hog"
	if err := takeSpace(hog); err != nil {
		t.Fatal(err)
	}
	n.Start()
	harness.Eventually(t, healWithin, "a read", func() error {
		_, err := n.Client().ReadAll("kept", "-1", nil)
		return err
	})
	refusing(t, n)
	if !tellsFull(t, n) {
		t.Fatal("the node does not say that its disk is full")
	}
	if a, err := n.Client().Delete("goes"); err != nil || a.Status != 204 {
		t.Fatalf("delete: %s, %v", a, err)
	}
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	n.WaitReady()
	if a, err := n.Client().Append("kept", harness.Headers("Content-Type", text), "again"); err != nil || a.Status != 204 {
		t.Fatalf("append: %s, %v", a, err)
	}
}

// TestALogWithoutSpaceSaysSoAndComesBack gives the raft log no next segment, as
// when the space went faster than it could be refused: the node ends, names the
// cause, and the next start finds all that was acknowledged.
func TestALogWithoutSpaceSaysSoAndComesBack(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skipf("no call can be made to fail: %v", err)
	}
	n, _ := oneOnASmallDisk(t, "--raft-segment-bytes", "1MiB")
	tracer, err := harness.StartProcess(n.LogPath, nil, "strace", "-f", "-qqq", "-e", "signal=none", "-e", "trace=fallocate",
		"-e", "inject=fallocate:error=ENOSPC", "-o", os.DevNull, "-p", strconv.Itoa(n.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	defer tracer.Kill() // it ends with the node
	want := strings.Repeat("kept", keptMessages)
	random := rand.NewChaCha8([32]byte{})
	for end := time.Now().Add(healWithin); n.Running(); {
		if time.Now().After(end) {
			t.Fatal("the node lives without a next segment for its log")
		}
		noise := make([]byte, 48<<10) // which the log cannot pack
		_, _ = random.Read(noise)     // which never fails
		body := base64.StdEncoding.EncodeToString(noise)
		if a, err := n.Client().Append("kept", harness.Headers("Content-Type", text), body); err == nil && a.Status == 204 {
			want += body
		}
	}
	if code := n.Exit(healWithin); code == 0 {
		t.Fatal("the node left with 0")
	}
	for _, word := range []string{"make raft log segment", "no space left on device"} {
		if log := n.Log(); !strings.Contains(log, word) {
			t.Fatalf("the log does not say %q:\n%s", word, log)
		}
	}
	n.Start()
	n.WaitReady()
	content, err := n.Client().ReadAll("kept", "-1", nil)
	if err != nil || !strings.HasPrefix(string(content.Bytes()), want) {
		t.Fatalf("got %d bytes, %v; %d were acknowledged", len(content.Bytes()), err, len(want))
	}
	if a, err := n.Client().Append("kept", harness.Headers("Content-Type", text), "again"); err != nil || a.Status != 204 {
		t.Fatalf("append: %s, %v", a, err)
	}
}
