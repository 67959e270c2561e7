package test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	installBytes      = 300 << 20 // of data in the cluster
	installBytesLarge = 2 << 30   // with MAINSTEM_LARGE
	installFillers    = 8
	installFillBody   = 1 << 20
	installWriters    = 16
	installBody       = 4 << 10

	// What the promise says, whatever the size of the data.
	installMemoryMax = 512 << 20
	installStallMax  = 0.25 // seconds, a boundary of the histogram

	// A member is refilled at this rate or faster, beside the load.
	installRateLeast = 4 << 20
	installSlack     = 60 * time.Second
)

// installArgs make each node take snapshots and cut its log often.
var installArgs = []string{"--raft-snapshot-bytes", "32MiB", "--raft-trailing-bytes", "4MiB"}

// TestMembersAreFilledBySnapshots brings a cluster to some size and fills new
// and wiped members from it while it takes writes, undisturbed and with the
// receiver killed, the sender killed and the sender frozen in the midst of it.
func TestMembersAreFilledBySnapshots(t *testing.T) {
	harness.Require(t)
	size := int64(installBytes)
	if os.Getenv("MAINSTEM_LARGE") != "" {
		size = installBytesLarge
	}
	in := &installing{t: t, c: harness.StartCluster(t, 3, installArgs...), size: size}
	in.fill()
	in.fresh = harness.NewNode(t, harness.Dir(t), "n4")
	in.fresh.Args = installArgs
	for _, n := range in.c.Nodes {
		in.fresh.Join = append(in.fresh.Join, n.GossipAddr)
	}
	in.load()
	in.measured()
	for _, fault := range []struct {
		name   string
		strike func(leader *harness.Node)
		heal   func(leader *harness.Node)
	}{
		{"receiver killed", func(*harness.Node) { in.fresh.Kill() }, func(*harness.Node) { in.fresh.Start() }},
		{"sender killed", (*harness.Node).Kill, nil},
		{"sender frozen", (*harness.Node).Pause, nil},
	} {
		in.disturbed(fault.name, fault.strike, fault.heal)
	}
	in.finish()
}

// installing is one run.
type installing struct {
	t     *testing.T
	c     *harness.Cluster
	fresh *harness.Node
	size  int64

	stop  chan struct{}
	wait  sync.WaitGroup
	gap   harness.Gap
	acked []int // by writer
}

func (in *installing) within() time.Duration {
	return installSlack + time.Duration(in.size/installRateLeast)*time.Second
}

// fill appends bytes that cannot be compressed until the cluster holds its size.
func (in *installing) fill() {
	in.t.Helper()
	began := time.Now()
	each := int(in.size / installFillBody / installFillers)
	var wait sync.WaitGroup
	errs := make(chan error, installFillers)
	for i := range installFillers {
		client := in.c.Nodes[i%len(in.c.Nodes)].Client()
		name := fmt.Sprintf("fill/%d", i)
		if a, err := client.Create(name, harness.Headers("Content-Type", "application/octet-stream"), ""); err != nil || a.Status != 201 {
			in.t.Fatalf("create %s: %s, %v", name, a, err)
		}
		wait.Go(func() {
			random := rand.NewChaCha8([32]byte{byte(i)})
			body := make([]byte, installFillBody)
			p := harness.Producer{ID: name, Stream: name, ContentType: "application/octet-stream", Clients: []*harness.Client{client}}
			for range each {
				random.Read(body)
				ctx, cancel := context.WithTimeout(context.Background(), ackWithin)
				_, err := p.Append(ctx, string(body))
				cancel()
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wait.Wait()
	select {
	case err := <-errs:
		in.t.Fatal(err)
	default:
	}
	took := time.Since(began)
	in.t.Logf("filled with %d MiB in %v, %.0f MiB/s", in.size>>20, took.Round(time.Second), float64(in.size>>20)/took.Seconds())
}

// load starts the writers, which go on until finish.
func (in *installing) load() {
	in.t.Helper()
	in.stop, in.acked = make(chan struct{}), make([]int, installWriters)
	urls := in.c.URLs()
	in.gap.Start()
	for i := range installWriters {
		name := fmt.Sprintf("during/%02d", i)
		var clients []*harness.Client
		for j := range urls {
			clients = append(clients, harness.NewClient(urls[(i+j)%len(urls)]))
		}
		if a, err := clients[0].Create(name, harness.Headers("Content-Type", text), ""); err != nil || a.Status != 201 {
			in.t.Fatalf("create %s: %s, %v", name, a, err)
		}
		p := &harness.Producer{ID: name, Stream: name, ContentType: text, Clients: clients}
		in.wait.Go(func() { in.write(i, p) })
	}
}

func (in *installing) write(i int, p *harness.Producer) {
	padding := strings.Repeat("x", installBody-len(fmt.Sprintf(textLine, i, 0)))
	for {
		select {
		case <-in.stop:
			return
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), ackWithin)
		_, err := p.Append(ctx, padding+fmt.Sprintf(textLine, i, in.acked[i]))
		cancel()
		if err != nil {
			in.t.Errorf("writer %d: %v", i, err)
			return
		}
		in.acked[i]++
		in.gap.Tick()
	}
}

// measured fills a member that is new, and holds the promise against it.
func (in *installing) measured() {
	t := in.t
	t.Helper()
	before := map[*harness.Node]applies{}
	for _, n := range in.c.Nodes {
		before[n] = appliesOf(t, n)
		if err := n.ForgetPeak(); err != nil {
			t.Fatal(err)
		}
	}
	in.gap.Reset()
	began := time.Now()
	in.fresh.Start()
	in.fresh.WaitReadyWithin(in.within())
	took := time.Since(began)
	gap := in.gap.Longest()
	in.wantSnapshot("undisturbed", 0)
	t.Logf("new member ready after %v; longest gap between acknowledgements %v", took.Round(time.Millisecond), gap)
	for _, n := range append([]*harness.Node{in.fresh}, in.c.Nodes...) {
		peak, err := n.PeakMemory()
		if err != nil {
			t.Fatal(err)
		}
		was, is := before[n], appliesOf(t, n)
		count, slow := is.count-was.count, is.slow-was.slow
		t.Logf("%s: peak memory %d MiB; %.0f applies, %.0f above 250 ms; the longest since its start %.1f ms, before the install %.1f ms",
			n.ID, peak>>20, count, slow, is.longest*1000, was.longest*1000)
		if n != in.fresh && count < 1 || slow < 0 { // the new one may have had nothing to apply yet
			t.Errorf("%s: %.0f applies of which %.0f were slow: nothing was measured", n.ID, count, slow)
		}
		if peak > installMemoryMax {
			t.Errorf("%s held %d MiB, want %d at most", n.ID, peak>>20, installMemoryMax>>20)
		}
		if slow > 0 {
			t.Errorf("%s: %.0f applies took more than 250 ms", n.ID, slow)
		}
	}
}

// applies is what a node has told of its applies at one moment.
type applies struct {
	count, slow float64 // slow: longer than is allowed
	longest     float64 // seconds
}

// appliesOf takes all of it from one answer: between two the node applies more,
// and the difference would hide what was slow.
func appliesOf(t *testing.T, n *harness.Node) applies {
	t.Helper()
	a, err := n.Client().Get("/metrics", nil)
	if err != nil || a.Status != 200 {
		t.Fatalf("GET /metrics at %s: %d, %v", n.ID, a.Status, err)
	}
	read := func(series string) float64 {
		for line := range strings.Lines(string(a.Body)) {
			if value, ok := strings.CutPrefix(line, series+" "); ok {
				v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				if err != nil {
					t.Fatalf("%s of %s: %v", series, n.ID, err)
				}
				return v
			}
		}
		t.Fatalf("%s tells no %s", n.ID, series)
		return 0
	}
	count := read("mainstem_apply_seconds_count")
	within := read(fmt.Sprintf("mainstem_apply_seconds_bucket{le=%q}", fmt.Sprint(installStallMax)))
	return applies{count: count, slow: count - within, longest: read("mainstem_apply_longest_seconds")}
}

// disturbed wipes the member, lets it be filled again and strikes in the midst
// of it.
func (in *installing) disturbed(name string, strike, heal func(leader *harness.Node)) {
	t := in.t
	t.Helper()
	in.fresh.End()
	if err := os.RemoveAll(in.fresh.Dir); err != nil {
		t.Fatal(err)
	}
	installed := in.installs()
	leader := in.c.Leader()
	in.fresh.Start()
	part := in.awaitPart(name)
	strike(leader)
	struck := time.Now()
	if heal != nil {
		heal(leader)
	}
	in.fresh.WaitReadyWithin(in.within())
	t.Logf("%s after %d MiB of the snapshot: ready %v later", name, part>>20, time.Since(struck).Round(time.Millisecond))
	in.wantSnapshot(name, installed)
	switch {
	case !leader.Running():
		leader.Start()
	case name == "sender frozen":
		leader.Resume()
	}
	leader.WaitReady()
}

// awaitPart returns when a snapshot has arrived in part.
func (in *installing) awaitPart(name string) (bytes int64) {
	in.t.Helper()
	dir := filepath.Join(in.fresh.Dir, "snapshots")
	deadline := time.Now().Add(in.within())
	for time.Now().Before(deadline) {
		bytes, _ = harness.DiskUse(dir) // it may not be there yet
		metas, _ := filepath.Glob(filepath.Join(dir, "*", "meta.json"))
		if len(metas) > 0 {
			in.t.Fatalf("%s: the snapshot of %d MiB was complete before it could be disturbed", name, bytes>>20)
		}
		if bytes > in.size/10 {
			return bytes
		}
		time.Sleep(time.Millisecond)
	}
	in.t.Fatalf("%s: no snapshot began to arrive", name)
	return 0
}

// installs counts the snapshots that the member says it has installed.
func (in *installing) installs() int {
	data, err := os.ReadFile(in.fresh.LogPath)
	if err != nil {
		in.t.Fatal(err)
	}
	return bytes.Count(data, []byte("Installed remote snapshot"))
}

// snapshotsMost is how many snapshots one return may take.
const snapshotsMost = 2

// wantSnapshot checks that the member came back by a snapshot: by none it proves
// nothing. On a machine with much else to do the log may be cut once more before
// it could follow; more often means that it is sent snapshots for ever.
func (in *installing) wantSnapshot(name string, before int) {
	in.t.Helper()
	if got := in.installs() - before; got < 1 || got > snapshotsMost {
		in.t.Errorf("%s: the member installed %d snapshots, want 1 to %d", name, got, snapshotsMost)
	}
}

// finish compares the copies, and looks at what is left on the disks.
func (in *installing) finish() {
	t := in.t
	t.Helper()
	close(in.stop)
	in.wait.Wait()
	total := 0
	for i, n := range in.acked {
		total += n
		if n == 0 {
			t.Errorf("writer %d had nothing acknowledged", i)
		}
	}
	in.c.Nodes = append(in.c.Nodes, in.fresh)
	sum := in.c.WaitEqual()
	t.Logf("%d appends acknowledged meanwhile; %d nodes are equal at index %d: %d MiB", total, len(in.c.Nodes), sum.Applied, sum.Bytes>>20)
	in.checkContents()
	for _, n := range in.c.Nodes {
		n.Stop()
		n.Start()
	}
	in.c.WaitReady()
	for _, n := range in.c.Nodes {
		in.checkDisk(n, int64(sum.Bytes))
	}
}

// checkContents wants each acknowledged append of the load once and in order.
func (in *installing) checkContents() {
	in.t.Helper()
	for i, acked := range in.acked {
		name := fmt.Sprintf("during/%02d", i)
		got, err := in.fresh.Client().ReadAll(name, "-1", nil)
		if err != nil {
			in.t.Fatal(err)
		}
		next := 0
		for line := range strings.Lines(string(got.Bytes())) {
			if want := fmt.Sprintf(textLine, i, next); strings.TrimLeft(line, "x") != want {
				in.t.Fatalf("%s: append %d is %q", name, next, strings.TrimLeft(line, "x"))
			}
			next++
		}
		if next != acked {
			in.t.Errorf("%s: %d appends are in the stream, %d were acknowledged", name, next, acked)
		}
	}
}

// checkDisk wants one copy and one snapshot, which share what they can, and a
// log that was cut.
func (in *installing) checkDisk(n *harness.Node, data int64) {
	t := in.t
	t.Helper()
	for _, part := range []struct{ pattern, what string }{
		{"copy/copy-*", "copies"}, {"snapshots/*-*-*", "snapshots"},
	} {
		found, err := filepath.Glob(filepath.Join(n.Dir, part.pattern))
		if err != nil || len(found) != 1 {
			t.Errorf("%s has the %s %v, %v; want 1", n.ID, part.what, found, err)
		}
	}
	var use [4]int64
	for i, part := range []string{"", "copy", "snapshots", "log"} {
		var err error
		if use[i], err = harness.DiskUse(filepath.Join(n.Dir, part)); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s: %d MiB on disk for %d MiB of data: copy %d, snapshot %d, log %d", n.ID, use[0]>>20, data>>20, use[1]>>20, use[2]>>20, use[3]>>20)
	if most := 2*data + installLogMost; use[0] > most {
		t.Errorf("%s uses %d MiB, want %d at most", n.ID, use[0]>>20, most>>20)
	}
}

// installLogMost is what the log may take: what makes a snapshot due, what
// stays after it, and the segments of 64 MiB in which both lie.
const installLogMost = 256 << 20
