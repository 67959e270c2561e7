package fsm_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/fsm"
	"mainstem/storage"
	"mainstem/stream"
)

func openSnapshots(t *testing.T, fs vfs.FS, dir string) *storage.Snapshots {
	t.Helper()
	s, err := storage.OpenSnapshots(storage.SnapshotsConfig{Dir: dir, FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// persist takes a snapshot as raft does.
func persist(t *testing.T, n *node, s *storage.Snapshots, index, term uint64) {
	t.Helper()
	promise, err := n.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer promise.Release()
	sink, err := s.Create(raft.SnapshotVersionMax, index, term, raft.Configuration{}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := promise.Persist(sink); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotTravelsToAnotherNode(t *testing.T) {
	fs := vfs.NewMem()
	leader := openNode(t, fs, fsm.Config{})
	commands, times := script(t, 21, 40)
	for i, batch := range commands {
		leader.now = times[i]
		leader.apply(batch...)
	}
	session := leader.must(stream.OpenSession{}).Session
	snapshots := openSnapshots(t, fs, "snapshots")
	persist(t, leader, snapshots, leader.index, 1)

	// It is sent as bytes into the store of a follower that holds other things.
	followerFS := vfs.NewMem()
	follower := openNode(t, followerFS, fsm.Config{})
	tail := follower.must(create("a", "stale")).Next
	follower.must(create("stale", "x"))
	received := openSnapshots(t, followerFS, "snapshots")
	list, err := snapshots.List()
	if err != nil || len(list) != 1 || list[0].Index != leader.index {
		t.Fatalf("snapshots %+v, %v", list, err)
	}
	meta, from, err := snapshots.Open(list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	sink, err := received.Create(raft.SnapshotVersionMax, meta.Index, meta.Term, meta.Configuration, meta.ConfigurationIndex, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(sink, from); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(from.Close(), sink.Close()); err != nil {
		t.Fatal(err)
	}
	list, err = received.List()
	if err != nil || len(list) != 1 {
		t.Fatalf("received %+v, %v", list, err)
	}
	_, reader, err := received.Open(list[0].ID)
	if err != nil {
		t.Fatal(err)
	}

	// Somebody follows a stream of the old copy, and somebody an index.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	woken := make(chan error, 2)
	go func() { woken <- follower.Wait(ctx, "a", tail) }()
	go func() { woken <- follower.WaitApplied(ctx, leader.index) }()
	if err := follower.Restore(reader); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-woken, <-woken); err != nil {
		t.Fatalf("a waiter was not woken: %v", err)
	}
	if got, want := follower.checksum(), leader.checksum(); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
	if got, want := follower.view(), leader.view(); !slices.Equal(got, want) {
		t.Fatalf("views differ:\n%v\n%v", got, want)
	}
	if code := follower.refusal("stale", stream.From{}); code != stream.NotFound {
		t.Fatalf("a stream of the old copy answers %d", code)
	}

	// Both go on alike: caches, counters, time and sessions came along.
	follower.index, follower.now = leader.index, leader.now
	for _, n := range []*node{leader, follower} {
		n.index++
		l := entry(n.index, n.now, create("after", "x"), add("after", "y"))
		stream.Address(l.Data, session, 1, 0)
		for range 2 { // and a repeat in a later entry
			if results := n.Apply(l).([]stream.Result); results[0].Rejection != nil || !results[0].Outcome.Created {
				t.Fatalf("%+v", results)
			}
			n.index++
			l = &raft.Log{Index: n.index, Term: 1, Type: raft.LogCommand, Data: bytes.Clone(l.Data)}
		}
	}
	if got, want := follower.checksum(), leader.checksum(); got != want {
		t.Fatalf("after the restore: %+v, want %+v", got, want)
	}
}

// Raft gives Noop and Barrier entries no Apply: only the snapshot tells that
// they are covered.
func TestPersistCoversTheSnapshotsIndex(t *testing.T) {
	fs := vfs.NewMem()
	var hooks [][2]uint64
	n := openNode(t, fs, fsm.Config{Committed: func(index, term uint64) { hooks = append(hooks, [2]uint64{index, term}) }})
	n.must(create("a", "x"))
	persist(t, n, openSnapshots(t, fs, "snapshots"), 9, 4)
	if got := n.engine.Persisted().Applied; got != 9 || n.Applied() != 9 {
		t.Fatalf("persisted up to %d, applied %d; want 9", got, n.Applied())
	}
	// The commit hint claims an entry with its term: 9 was never of term 1.
	for _, h := range hooks[1:] {
		if h != [2]uint64{9, 4} {
			t.Fatalf("told of entry %d of term %d, which does not exist", h[0], h[1])
		}
	}
	if got := n.engine.Globals().Term; got != 4 {
		t.Fatalf("the copy says that entry 9 is of term %d, want 4", got)
	}
	persist(t, n, openSnapshots(t, fs, "snapshots"), 5, 4) // an older promise moves nothing back
	if got := n.engine.Persisted().Applied; got != 9 {
		t.Fatalf("persisted up to %d, want 9", got)
	}
}

// A snapshot may hold later entries than its index. They are skipped when raft
// replays them.
func TestASnapshotMayHoldMoreThanItPromises(t *testing.T) {
	fs := vfs.NewMem()
	n := openNode(t, fs, fsm.Config{})
	n.must(create("a", "x"))
	promise, _ := n.Snapshot()
	later := entry(2, epoch, add("a", "y"))
	n.Apply(later)
	snapshots := openSnapshots(t, fs, "snapshots")
	sink, err := snapshots.Create(raft.SnapshotVersionMax, 1, 1, raft.Configuration{}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := promise.Persist(sink); err != nil {
		t.Fatal(err)
	}
	_, reader, err := snapshots.Open(sink.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Restore(reader); err != nil {
		t.Fatal(err)
	}
	if answer := n.Apply(later); answer != nil {
		t.Fatalf("entry 2 was applied again: %+v", answer)
	}
	if _, all := n.readAll("a", 10); all != "xy" {
		t.Fatalf("%q", all)
	}
}

// foreign is a sink, or a reader, of another store.
type foreign struct {
	io.Reader
	cancelled, closed bool
}

func (f *foreign) Write(p []byte) (int, error) { return len(p), nil }
func (f *foreign) ID() string                  { return "1-1-1" }
func (f *foreign) Cancel() error               { f.cancelled = true; return nil }
func (f *foreign) Close() error                { f.closed = true; return nil }

func TestSnapshotsOfAnotherStoreAreRefused(t *testing.T) {
	n := newNode(t)
	n.must(create("a", "x"))
	before := n.checksum()
	promise, _ := n.Snapshot()
	sink := &foreign{}
	if err := promise.Persist(sink); err == nil || !sink.cancelled || sink.closed {
		t.Fatalf("%v, cancelled %v, closed %v", err, sink.cancelled, sink.closed)
	}
	reader := &foreign{Reader: strings.NewReader("bytes")}
	if err := n.Restore(reader); err == nil || !reader.closed {
		t.Fatalf("%v, closed %v", err, reader.closed)
	}
	if n.checksum() != before {
		t.Fatal("the copy was changed")
	}
}
