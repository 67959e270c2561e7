package fsm_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/fsm"
	"mainstem/storage"
	"mainstem/stream"
)

// marked is a node that takes views of its copy at marks, to digest them later.
type marked struct {
	*node
	views []func()
	sums  map[uint64][]storage.RangeSum // by index of the mark
}

func (m *marked) digest() {
	for _, view := range m.views {
		view()
	}
	m.views = nil
}

func unpaced(context.Context, int) error { return nil }

func newMarked(t *testing.T, fs vfs.FS) *marked {
	m := &marked{sums: map[uint64][]storage.RangeSum{}}
	m.node = openNode(t, fs, fsm.Config{Marked: func(index uint64, mark stream.Mark, v *storage.View) {
		t.Cleanup(func() { v.Close() })
		m.views = append(m.views, func() {
			for from, more := mark.From, true; more; {
				sum, err := v.Sum(t.Context(), from, mark.Bytes, unpaced)
				if err != nil {
					t.Error(err)
					return
				}
				m.sums[index] = append(m.sums[index], sum)
				from, more = sum.Next, sum.Next != ""
			}
			if err := v.Close(); err != nil {
				t.Error(err)
			}
		})
	}})
	return m
}

// markedLog is a script with marks in it: alone, and in the midst of an entry.
func markedLog(t *testing.T, seed uint64) (logs []*raft.Log, marks []uint64) {
	commands, times := script(t, seed, 60)
	for i, batch := range commands {
		if i%7 == 3 {
			at := len(batch) / 2
			batch = slices.Insert(slices.Clone(batch), at, stream.Command(stream.Mark{Bytes: 300}))
			marks = append(marks, uint64(i+1))
		}
		logs = append(logs, entry(uint64(i+1), times[i], batch...))
	}
	return logs, marks
}

func TestSumsAtAMarkAreEqualHoweverItWasReached(t *testing.T) {
	for seed := range uint64(6) {
		logs, marks := markedLog(t, seed)
		one := newMarked(t, vfs.NewMem())
		for _, l := range logs {
			one.Apply(l)
			one.digest()
		}
		parts := 0
		for _, index := range marks {
			parts = max(parts, len(one.sums[index]))
		}
		if parts < 3 {
			t.Fatalf("seed %d: %d parts at most; the ranges were not split", seed, parts)
		}
		for variant := range uint64(4) {
			g := rand.New(rand.NewPCG(seed, variant))
			other := newMarked(t, vfs.NewMem())
			for rest := logs; len(rest) > 0; {
				n := min(1+g.IntN(20), len(rest))
				if variant == 3 {
					n = len(rest)
				}
				other.ApplyBatch(rest[:n])
				rest = rest[n:]
				if g.IntN(3) == 0 {
					if err := other.engine.Flush(); err != nil {
						t.Fatal(err)
					}
				}
			}
			other.digest() // long after
			if got, want := fmt.Sprint(other.sums), fmt.Sprint(one.sums); got != want {
				t.Fatalf("seed %d, variant %d: sums\n%s\none by one\n%s", seed, variant, got, want)
			}
			if got, want := other.checksum(), one.checksum(); got != want {
				t.Fatalf("seed %d, variant %d: %+v; one by one %+v", seed, variant, got, want)
			}
		}
	}
}

func TestSumsAreEqualOnANodeThatCameFromASnapshot(t *testing.T) {
	logs, marks := markedLog(t, 3)
	fs := vfs.NewMem()
	one := newMarked(t, fs)
	half := len(logs) / 2
	one.ApplyBatch(logs[:half])
	snapshots := openSnapshots(t, fs, "snapshots")
	persist(t, one.node, snapshots, uint64(half), 1)
	one.ApplyBatch(logs[half:])
	one.digest()

	list, err := snapshots.List()
	if err != nil {
		t.Fatal(err)
	}
	_, source, err := snapshots.Open(list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	restoredFS := vfs.NewMem()
	restored := newMarked(t, restoredFS)
	received := openSnapshots(t, restoredFS, "snapshots")
	sink, err := received.Create(raft.SnapshotVersionMax, list[0].Index, list[0].Term, raft.Configuration{}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(sink, source); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(source.Close(), sink.Close()); err != nil {
		t.Fatal(err)
	}
	_, reader, err := received.Open(sink.ID())
	if err != nil {
		t.Fatal(err)
	}
	if err := restored.Restore(reader); err != nil {
		t.Fatal(err)
	}
	restored.ApplyBatch(logs) // of which it has half
	restored.digest()
	compared := 0
	for _, index := range marks {
		if int(index) <= half {
			if len(restored.sums[index]) != 0 {
				t.Fatalf("the mark at %d lies before the snapshot, and was taken", index)
			}
			continue
		}
		compared++
		if got, want := restored.sums[index], one.sums[index]; !slices.Equal(got, want) {
			t.Fatalf("at %d: %+v, want %+v", index, got, want)
		}
	}
	if compared == 0 {
		t.Fatal("no mark came after the snapshot")
	}
}

func TestReadsTellOfDamage(t *testing.T) {
	var told []error
	n := openNode(t, vfs.NewMem(), fsm.Config{Damaged: func(err error) { told = append(told, err) }})
	n.must(create("a", "text"))
	b := n.engine.NewBatch()
	b.PutStream("broken", []byte{0xff})
	if err := n.engine.Commit(b, n.engine.Globals()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := n.Info("broken"); !errors.Is(err, storage.ErrCorrupt) {
		t.Fatalf("info: got %v", err)
	}
	if _, err := n.Read("broken", stream.From{}, 1); !errors.Is(err, storage.ErrCorrupt) {
		t.Fatalf("read: got %v", err)
	}
	look, leave := n.Follow("broken")
	if _, _, err := look(stream.From{}, 1); !errors.Is(err, storage.ErrCorrupt) {
		t.Fatalf("follow: got %v", err)
	}
	leave()
	if _, err := n.Read("none", stream.From{}, 1); err == nil || errors.Is(err, storage.ErrCorrupt) {
		t.Fatalf("a stream that is not there is no damage: %v", err)
	}
	if len(told) != 3 {
		t.Fatalf("told %d times of 3: %v", len(told), told)
	}
}
