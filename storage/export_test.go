package storage

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/stream"
)

// exported collects what Export hands out.
type exported struct {
	pairs [][2]string
	held  []Held
	fail  int // the pair at which it fails; 0 for none
}

var errFull = errors.New("full")

func (x *exported) Pair(key, value []byte) error {
	x.pairs = append(x.pairs, [2]string{string(key), string(value)})
	if x.fail > 0 && len(x.pairs) == x.fail {
		return errFull
	}
	return nil
}

func (x *exported) Held(h Held) error { x.held = append(x.held, h); return nil }

func nothing(uint64) (uint64, bool) { return 0, false }

func export(t *testing.T, e *Engine, had func(uint64) (uint64, bool)) *exported {
	t.Helper()
	v, err := e.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var x exported
	if err := v.Export(t.Context(), had, &x); err != nil {
		t.Fatal(err)
	}
	return &x
}

// someStreams puts three incarnations with records and one without.
func someStreams(t *testing.T, e *Engine) {
	commit(t, e, 9, func(b *Batch) {
		for _, inc := range []uint64{1, 2, 1 << 40} {
			for pos := uint64(0); pos < 30; pos += 10 {
				b.PutRecord(inc, pos, fmt.Appendf(nil, "record %d %d", inc, pos))
			}
		}
		b.PutStream("a", stream.AppendState(nil, &stream.State{Incarnation: 3}))
		b.PutStream("b", stream.AppendState(nil, &stream.State{Incarnation: 4}))
		b.PutProducer(3, "p", []byte("producer"))
		b.PutDeadline(77, "a")
	})
}

func TestExportLeavesOutRecordsThatAreKnown(t *testing.T) {
	e := openTest(t, vfs.NewMem())
	someStreams(t, e)
	first := export(t, e, nothing)
	if n := len(first.pairs); n != 9+5 {
		t.Fatalf("got %d pairs, want 14", n)
	}
	if !slices.IsSortedFunc(first.pairs, func(a, b [2]string) int { return slices.Compare([]string{a[0]}, []string{b[0]}) }) {
		t.Fatal("the pairs are not in the order of their keys")
	}
	want := []Held{{1, 0, 20}, {2, 0, 20}, {1 << 40, 0, 20}}
	if !slices.Equal(first.held, want) {
		t.Fatalf("got held %v, want %v", first.held, want)
	}
	commit(t, e, 10, func(b *Batch) {
		b.PutRecord(2, 30, []byte("more"))
		b.PutRecord(9, 5, []byte("a fork"))
		if err := b.DropIncarnation(1); err != nil {
			t.Fatal(err)
		}
	})
	known := map[uint64]uint64{1: 20, 2: 20, 1 << 40: 20}
	var asked []uint64
	second := export(t, e, func(inc uint64) (uint64, bool) {
		asked = append(asked, inc)
		last, ok := known[inc]
		return last, ok
	})
	want = []Held{{2, 0, 30}, {9, 5, 5}, {1 << 40, 0, 20}}
	if !slices.Equal(second.held, want) {
		t.Fatalf("got held %v, want %v", second.held, want)
	}
	if got := len(second.pairs); got != 2+5 {
		t.Fatalf("got %d pairs, want two records and all else: %q", got, second.pairs)
	}
	if !slices.IsSorted(asked) || len(asked) != 3 {
		t.Fatalf("asked for %v, want each incarnation once and in order", asked)
	}
}

func TestExportSeesOneMomentAndPassesErrorsOn(t *testing.T) {
	e := openTest(t, vfs.NewMem())
	someStreams(t, e)
	v, err := e.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	commit(t, e, 10, func(b *Batch) { b.PutRecord(1, 30, []byte("later")) })
	var x exported
	if err := v.Export(t.Context(), nothing, &x); err != nil || len(x.pairs) != 14 {
		t.Fatalf("got %d pairs, %v; want 14 of before", len(x.pairs), err)
	}
	if g, err := v.Globals(); err != nil || g.Applied != 9 {
		t.Fatalf("got globals %+v, %v", g, err)
	}
	for _, at := range []int{1, 9, 10, 14} {
		if err := v.Export(t.Context(), nothing, &exported{fail: at}); !errors.Is(err, errFull) {
			t.Fatalf("failing at pair %d: got %v", at, err)
		}
	}
}

func TestFillMakesTheSameCopy(t *testing.T) {
	from := openTest(t, vfs.NewMem())
	someStreams(t, from)
	x := export(t, from, nothing)
	cfg := testConfig(vfs.NewMem())
	f, err := OpenFiller(cfg, 1000)
	if err != nil {
		t.Fatal(err)
	}
	// The filling is interrupted: once with tables taken in, once without.
	for i, p := range x.pairs[:11] {
		if err := f.Add([]byte(p[0]), []byte(p[1])); err != nil {
			t.Fatal(err)
		}
		if i == 4 {
			if err := f.ingest(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := f.engine.Globals(), f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err = OpenFiller(cfg, 1000); err != nil {
		t.Fatal(err)
	}
	if got := string(f.Last()); got != x.pairs[4][0] {
		t.Fatalf("it goes on after %x, want %x", got, x.pairs[4][0])
	}
	if err := f.Add([]byte(x.pairs[4][0]), nil); err == nil {
		t.Fatal("a key was taken twice")
	}
	for _, p := range x.pairs[5:] {
		if err := f.Add([]byte(p[0]), []byte(p[1])); err != nil {
			t.Fatal(err)
		}
	}
	g, err := f.Finish()
	want := globalsAt(9)
	want.Incarnations += 1000
	if err != nil || g != want {
		t.Fatalf("got %+v, %v; want %+v", g, err, want)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := e.Globals(); got != g {
		t.Fatalf("after a reopen: got %+v, want %+v", got, g)
	}
	again := export(t, e, nothing)
	differ := func(a, b [2]string) bool { return a == b || a[0] == "g" && b[0] == "g" }
	if !slices.EqualFunc(again.pairs, x.pairs, differ) || !slices.Equal(again.held, x.held) {
		t.Fatalf("got %q %v, want %q %v", again.pairs, again.held, x.pairs, x.held)
	}
}

func TestFillRefusesWhatSaysNothingOfALog(t *testing.T) {
	f, err := OpenFiller(testConfig(vfs.NewMem()), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Add([]byte("s a"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Finish(); err == nil {
		t.Fatal("a copy without globals was taken for one")
	}
}
