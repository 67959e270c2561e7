package storage

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/stream"
)

func openTest(t testing.TB, fs vfs.FS) *Engine {
	t.Helper()
	e, err := Open(testConfig(fs))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func testConfig(fs vfs.FS) Config {
	return Config{Dir: "data/copy", FS: fs, CacheBytes: 1 << 20, MemTableBytes: 256 << 10}
}

// commit commits what fn puts into a batch, as entry applied of the log.
func commit(t testing.TB, e *Engine, applied uint64, fn func(*Batch)) {
	t.Helper()
	b := e.NewBatch()
	fn(b)
	if err := e.Commit(b, globalsAt(applied)); err != nil {
		t.Fatal(err)
	}
}

func globalsAt(applied uint64) Globals {
	return Globals{Applied: applied, Term: 1 + applied/7, Now: stream.Time(1000 * applied), Incarnations: applied / 2, Stored: applied * 3}
}

func TestCommitIsReadBack(t *testing.T) {
	e := openTest(t, vfs.NewMem())
	b := e.NewBatch()
	for applied := uint64(1); applied <= 3; applied++ {
		b.PutStream("a/b", fmt.Appendf(nil, "state %d", applied))
		b.PutProducer(4, "p", fmt.Appendf(nil, "producer %d", applied))
		if b.Empty() || b.Bytes() == 0 {
			t.Fatalf("got empty %v, %d bytes", b.Empty(), b.Bytes())
		}
		if err := e.Commit(b, globalsAt(applied)); err != nil {
			t.Fatal(err)
		}
		b.Reset()
		if !b.Empty() {
			t.Fatal("not empty after Reset")
		}
		wantStream(t, e, "a/b", fmt.Sprintf("state %d", applied))
		got, ok, err := e.Producer(4, "p")
		if want := fmt.Sprintf("producer %d", applied); err != nil || !ok || string(got) != want {
			t.Fatalf("got %q, %v, %v, want %q", got, ok, err, want)
		}
		if got, want := e.Globals(), globalsAt(applied); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
	commit(t, e, 4, func(b *Batch) { b.DeleteStream("a/b") })
	if s, err := e.Stream("a/b"); s != nil || err != nil {
		t.Fatalf("deleted stream: got %v, %v", s, err)
	}
	if _, ok, err := e.Producer(4, "q"); ok || err != nil {
		t.Fatalf("absent producer: got %v, %v", ok, err)
	}
}

// A copy says what is in it, in words that versions before know until there is more.
func TestGlobalsHaveTheVersionOfWhatIsThere(t *testing.T) {
	for version, g := range map[byte]Globals{2: {Stored: 5}, 3: {Stored: 5, Tails: true}, 4: {Stored: 5, Tails: true, Slots: true}} {
		b := g.appendTo(nil)
		if got, err := parseGlobals(b); b[0] != version || got != g || err != nil {
			t.Errorf("version %d: got %+v, %v, written with version %d", version, got, err, b[0])
		}
		if r := g.replicated(); r[0] != version {
			t.Errorf("version %d: nodes compare version %d", version, r[0])
		}
	}
	if _, err := parseGlobals(append([]byte{1}, make([]byte, globalsLen-1)...)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a version that never was: got %v", err)
	}
}

func wantStream(t testing.TB, e *Engine, name stream.Name, want string) {
	t.Helper()
	got, ok, err := e.get(appendStreamKey(nil, name)) // as it is stored
	if err != nil || !ok || string(got) != want {
		t.Fatalf("stream %s: got %q, %v, %v, want %q", name, got, ok, err, want)
	}
}

func TestRecordsBeginWithTheOneThatHoldsThePosition(t *testing.T) {
	e := openTest(t, vfs.NewMem())
	const top = 1<<64 - 1
	commit(t, e, 1, func(b *Batch) {
		b.PutRecord(4, 5, []byte("other"))
		for _, start := range []uint64{10, 20, 30} {
			b.PutRecord(5, start, []byte("rec"), nil, fmt.Appendf(nil, "ord %d", start))
		}
		b.PutRecord(6, 0, []byte("other"))
		b.PutRecord(top, top, []byte("last"))
	})
	for name, tc := range map[string]struct {
		incarnation, pos uint64
		want             []uint64
	}{
		"before the first":     {5, 3, []uint64{10, 20, 30}},
		"at the first":         {5, 10, []uint64{10, 20, 30}},
		"inside the first":     {5, 19, []uint64{10, 20, 30}},
		"where one ends":       {5, 20, []uint64{20, 30}},
		"inside the last":      {5, 35, []uint64{30}},
		"beyond all":           {5, top, []uint64{30}},
		"from zero":            {5, 0, []uint64{10, 20, 30}},
		"no such incarnation":  {7, 0, nil},
		"the last incarnation": {top, top, []uint64{top}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []uint64
			err := e.Records(tc.incarnation, tc.pos, func(start uint64, value []byte) bool {
				got = append(got, start)
				if want := fmt.Sprintf("record %d", start); tc.incarnation == 5 && string(value) != want {
					t.Fatalf("got %q, want %q", value, want)
				}
				return true
			})
			if err != nil || !slices.Equal(got, tc.want) {
				t.Fatalf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
	calls := 0
	if err := e.Records(5, 0, func(uint64, []byte) bool { calls++; return false }); err != nil || calls != 1 {
		t.Fatalf("got %d calls, %v, want 1", calls, err)
	}
}

func TestDropIncarnationLeavesItsNeighbours(t *testing.T) {
	e := openTest(t, vfs.NewMem())
	commit(t, e, 1, func(b *Batch) {
		for _, incarnation := range []uint64{1, 2, 3} {
			b.PutRecord(incarnation, 0, []byte("x"))
			b.PutProducer(incarnation, "p", []byte("y"))
		}
	})
	commit(t, e, 2, func(b *Batch) { drop(t, b, 2) })
	for incarnation, want := range map[uint64]int{1: 1, 2: 0, 3: 1} {
		got := 0
		if err := e.Records(incarnation, 0, func(uint64, []byte) bool { got++; return true }); err != nil || got != want {
			t.Fatalf("incarnation %d: got %d records, %v, want %d", incarnation, got, err, want)
		}
		if _, ok, err := e.Producer(incarnation, "p"); ok != (want == 1) || err != nil {
			t.Fatalf("incarnation %d: got producer %v, %v", incarnation, ok, err)
		}
	}
}

func TestDueIsOldestFirstAndBounded(t *testing.T) {
	e := openTest(t, vfs.NewMem())
	commit(t, e, 1, func(b *Batch) {
		b.PutDeadline(300, "c")
		b.PutDeadline(5, "late in the alphabet: z")
		b.PutDeadline(70000, "a")
		b.PutDeadline(200, "gone")
		b.PutDeadline(200, "b")
	})
	commit(t, e, 2, func(b *Batch) { b.DeleteDeadline(200, "gone") })
	for name, tc := range map[string]struct {
		now   stream.Time
		limit int
		want  []Due
	}{
		"none yet":     {4, 10, nil},
		"exactly now":  {5, 10, []Due{{5, "late in the alphabet: z"}}},
		"three":        {69999, 10, []Due{{5, "late in the alphabet: z"}, {200, "b"}, {300, "c"}}},
		"limited":      {69999, 2, []Due{{5, "late in the alphabet: z"}, {200, "b"}}},
		"limit zero":   {69999, 0, nil},
		"before 1970":  {-1, 10, nil},
		"end of times": {1<<63 - 1, 10, []Due{{5, "late in the alphabet: z"}, {200, "b"}, {300, "c"}, {70000, "a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := e.Due(tc.now, tc.limit)
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Fatalf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

func TestNamesAreListedByPrefixAfterName(t *testing.T) {
	e := openTest(t, vfs.NewMem())
	commit(t, e, 1, func(b *Batch) {
		for _, name := range []stream.Name{"a", "a/1", "a/2", "a/3", "ab", "b"} {
			b.PutStream(name, stream.AppendState(nil, &stream.State{Incarnation: 1, Seq: string(name)}))
		}
		b.PutProducer(1, "x", nil)
		b.PutDeadline(1, "a")
	})
	for name, tc := range map[string]struct{ prefix, after, want string }{
		"all":                   {"", "", "a a/1 a/2 a/3 ab b"},
		"prefix":                {"a/", "", "a/1 a/2 a/3"},
		"after":                 {"", "a/2", "a/3 ab b"},
		"prefix and after":      {"a/", "a/1", "a/2 a/3"},
		"after before prefix":   {"a/", "Z", "a/1 a/2 a/3"},
		"after beyond prefix":   {"a/", "b", ""},
		"after an absent name":  {"", "a/11", "a/2 a/3 ab b"},
		"prefix of no stream":   {"c", "", ""},
		"prefix that is a name": {"ab", "", "ab"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			err := e.EachStream(tc.prefix, tc.after, func(name stream.Name, s *stream.State) bool {
				if s.Seq != string(name) {
					t.Fatalf("stream %s: got the state of %s", name, s.Seq)
				}
				got = append(got, string(name))
				return true
			})
			if err != nil || strings.Join(got, " ") != tc.want {
				t.Fatalf("got %v, %v, want %s", got, err, tc.want)
			}
			var names []string
			err = e.EachName(tc.prefix, tc.after, func(name stream.Name) bool {
				names = append(names, string(name))
				return len(names) < 2
			})
			if want := got[:min(2, len(got))]; err != nil || !slices.Equal(names, want) {
				t.Fatalf("got the names %v, %v, want %v", names, err, want)
			}
		})
	}
}

func TestChecksumIsEqualHoweverCommitsAreGrouped(t *testing.T) {
	const entries = 200
	changes := func(b *Batch, n uint64) {
		b.PutStream(stream.Name(fmt.Sprintf("s%d", n%5)), fmt.Appendf(nil, "state %d", n))
		b.PutRecord(n%5, n, fmt.Appendf(nil, "record %d", n))
		b.PutDeadline(stream.Time(n), "s")
		b.DeleteDeadline(stream.Time(n-1), "s")
		if n%50 == 0 {
			drop(t, b, 3)
		}
	}
	var sums []Sum
	for _, group := range []uint64{1, 7, entries} {
		e := openTest(t, vfs.NewMem())
		b := e.NewBatch()
		for n := uint64(1); n <= entries; n++ {
			changes(b, n)
			if n%group != 0 && n != entries {
				continue
			}
			if err := e.Commit(b, globalsAt(n)); err != nil {
				t.Fatal(err)
			}
			b.Reset()
			if group == 7 && n%70 == 0 { // another layout of tables
				if err := e.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		sums = append(sums, must1[Sum](t)(e.Checksum(context.Background())))
	}
	if sums[0] != sums[1] || sums[0] != sums[2] {
		t.Fatalf("got %+v", sums)
	}
	if sums[0].Applied != entries || sums[0].Keys == 0 || sums[0].Bytes == 0 {
		t.Fatalf("got %+v", sums[0])
	}
}

func TestChecksumTellsDifferences(t *testing.T) {
	base := func(b *Batch) { b.PutStream("a", []byte("bc")) }
	seen := make(map[string]string)
	for name, tc := range map[string]struct {
		globals Globals
		change  func(*Batch)
		same    bool // as "base"
	}{
		"base":                 {Globals{Applied: 1, Now: 5}, base, true},
		"applied and term":     {Globals{Applied: 9, Term: 3, Now: 5}, base, true},
		"time":                 {Globals{Applied: 1, Now: 6}, base, false},
		"incarnations":         {Globals{Applied: 1, Now: 5, Incarnations: 1}, base, false},
		"stored":               {Globals{Applied: 1, Now: 5, Stored: 1}, base, false},
		"value":                {Globals{Applied: 1, Now: 5}, func(b *Batch) { b.PutStream("a", []byte("bd")) }, false},
		"byte moved into name": {Globals{Applied: 1, Now: 5}, func(b *Batch) { b.PutStream("ab", []byte("c")) }, false},
		"nothing":              {Globals{Applied: 1, Now: 5}, func(*Batch) {}, false},
	} {
		e := openTest(t, vfs.NewMem())
		b := e.NewBatch()
		tc.change(b)
		if err := e.Commit(b, tc.globals); err != nil {
			t.Fatal(err)
		}
		sum := must1[Sum](t)(e.Checksum(context.Background()))
		if tc.same {
			name = "base"
		}
		if other, found := seen[sum.Hash]; found && other != name {
			t.Fatalf("%q and %q have one checksum", name, other)
		}
		seen[sum.Hash] = name
	}
	if len(seen) != 7 {
		t.Fatalf("got %d checksums, want 7: %v", len(seen), seen)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := openTest(t, vfs.NewMem()).Checksum(ctx); err != nil {
		t.Fatalf("an empty copy: got %v", err)
	}
}

func TestClosedEngineSaysSo(t *testing.T) {
	e := openTest(t, vfs.NewMem())
	b := e.NewBatch()
	b.PutStream("a", nil)
	for range 2 {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, call := range map[string]func() error{
		"Commit":     func() error { return e.Commit(b, Globals{}) },
		"Stream":     func() error { _, err := e.Stream("a"); return err },
		"Records":    func() error { return e.Records(1, 0, func(uint64, []byte) bool { return true }) },
		"Flush":      e.Flush,
		"Checkpoint": func() error { return e.Checkpoint("x") },
		"Replace":    func() error { return e.Replace("x") },
		"Checksum":   func() error { _, err := e.Checksum(context.Background()); return err },
	} {
		if err := call(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]Config{
		"Dir":           {},
		"CacheBytes":    {Dir: "x", CacheBytes: -1},
		"MemTableBytes": {Dir: "x", MemTableBytes: 1},
	} {
		if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A whole cluster runs in a bubble: nothing may stay behind after Close.
func TestEngineRunsInSyntheticTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := Open(testConfig(vfs.NewMem()))
		if err != nil {
			t.Fatal(err)
		}
		commit(t, e, 1, func(b *Batch) { b.PutStream("a", []byte("b")) })
		if err := e.Checkpoint("data/checkpoint"); err != nil {
			t.Fatal(err)
		}
		if err := e.Replace("data/checkpoint"); err != nil {
			t.Fatal(err)
		}
		wantStream(t, e, "a", "b")
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
