package storage

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// history commits entries of which each can be found again: entry n sets stream
// "n", record n, and the stream "newest".
func history(t testing.TB, e *Engine, from, to uint64) {
	t.Helper()
	b := e.NewBatch()
	for n := from; n <= to; n++ {
		b.PutStream("newest", fmt.Appendf(nil, "%d", n))
		b.PutRecord(1, n, fmt.Appendf(nil, "%d ", n), filler[:fill(n)])
		if n > 10 {
			drop(t, b, 100+n-10)
		}
		b.PutRecord(100+n, 0, fmt.Appendf(nil, "%d", n))
		if err := e.Commit(b, globalsAt(n)); err != nil {
			t.Fatal(err)
		}
		b.Reset()
	}
}

func fill(n uint64) uint64 { return n * 997 % 4096 }

var filler = []byte(strings.Repeat("0123456789abcdef", 256))

// wantHistory checks that the copy holds exactly the entries up to its Applied.
func wantHistory(t testing.TB, e *Engine) uint64 {
	t.Helper()
	g := e.Globals()
	if g.Applied == 0 {
		if g != (Globals{}) {
			t.Fatalf("got %+v", g)
		}
		return 0
	}
	if want := globalsAt(g.Applied); g != want {
		t.Fatalf("got %+v, want %+v", g, want)
	}
	wantStream(t, e, "newest", fmt.Sprint(g.Applied))
	next := uint64(1)
	err := e.Records(1, 0, func(start uint64, value []byte) bool {
		want := fmt.Sprintf("%d %s", next, filler[:fill(next)])
		if start != next || string(value) != want {
			t.Errorf("got record %d of %d bytes, want %d of %d", start, len(value), next, len(want))
			return false
		}
		next++
		return true
	})
	if err != nil || next != g.Applied+1 {
		t.Fatalf("got records to %d, %v, want to %d", next-1, err, g.Applied)
	}
	for n := uint64(1); n <= g.Applied+1; n++ {
		alive := 0
		if err := e.Records(100+n, 0, func(uint64, []byte) bool { alive++; return true }); err != nil {
			t.Fatal(err)
		}
		if want := n <= g.Applied && n+10 > g.Applied; (alive == 1) != want {
			t.Fatalf("incarnation of entry %d of %d: got %d records", n, g.Applied, alive)
		}
	}
	return g.Applied
}

// What was flushed survives a power cut, and what was not is lost from the end
// only, with the globals.
func TestPowerCutLeavesPrefixWithItsGlobals(t *testing.T) {
	points := newCrashPoints()
	cfg := testConfig(points.fs())
	cfg.MemTableBytes = memTableBytesMin // flushes by itself, often
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	history(t, e, 1, 20)
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := e.Persisted(); got != globalsAt(20) {
		t.Fatalf("got persisted %+v, want entry 20", got)
	}
	points.watch(func() { history(t, e, 21, 400) })
	seen := make(map[uint64]int)
	points.each(t, func(t *testing.T, disk *vfs.MemFS) {
		cfg.FS = disk
		after, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer after.Close()
		applied := wantHistory(t, after)
		if applied < 20 || applied > 400 {
			t.Fatalf("got entries to %d, want 20 to 400", applied)
		}
		if after.Persisted() != after.Globals() {
			t.Fatalf("got persisted %+v and %+v", after.Persisted(), after.Globals())
		}
		seen[applied]++
	})
	if len(seen) < 3 {
		t.Fatalf("the crashes left too few states: %v", seen)
	}
}

func TestPersistedFollowsFlushOnly(t *testing.T) {
	e := openTest(t, vfs.NewMem())
	history(t, e, 1, 3)
	if got := e.Persisted(); got != (Globals{}) {
		t.Fatalf("got %+v before a flush", got)
	}
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	history(t, e, 4, 5)
	if got := e.Persisted(); got != globalsAt(3) {
		t.Fatalf("got %+v, want entry 3", got)
	}
}

// Replaced by a checkpoint, a copy is the old one or the new one after a crash at
// any point, and whole.
func TestReplaceCrashLeavesOldOrNew(t *testing.T) {
	points := newCrashPoints()
	fs := points.fs()
	source := openTest(t, fs)
	history(t, source, 1, 60)
	if err := source.Checkpoint("data/snapshots/1/copy"); err != nil {
		t.Fatal(err)
	}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(fs)
	cfg.Dir = "other/copy"
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	history(t, e, 1, 7)
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	points.watch(func() {
		if err := e.Replace("data/snapshots/1/copy"); err != nil {
			t.Fatal(err)
		}
		if err := e.retired.Wait(); err != nil { // the removal of the old copy too
			t.Fatal(err)
		}
	})
	if got := wantHistory(t, e); got != 60 {
		t.Fatalf("got entries to %d, want 60", got)
	}
	defer e.Close()
	seen := make(map[uint64]int)
	points.each(t, func(t *testing.T, disk *vfs.MemFS) {
		cfg.FS = disk
		after, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer after.Close()
		applied := wantHistory(t, after)
		if applied != 7 && applied != 60 {
			t.Fatalf("got entries to %d, want 7 or 60", applied)
		}
		seen[applied]++
		names, err := disk.List(cfg.Dir)
		if err != nil || len(names) != 2 {
			t.Fatalf("got %v, %v: strays were left", names, err)
		}
		history(t, after, applied+1, applied+3)
		wantHistory(t, after)
	})
	if seen[7] == 0 || seen[60] == 0 {
		t.Fatalf("got %v: not both sides were seen", seen)
	}
	t.Logf("old %d, new %d", seen[7], seen[60])
}

// The first start may be cut at any point as well.
func TestFirstOpenMayCrashAnywhere(t *testing.T) {
	points := newCrashPoints()
	points.watch(func() {
		if err := openTest(t, points.fs()).Close(); err != nil {
			t.Fatal(err)
		}
	})
	points.each(t, func(t *testing.T, disk *vfs.MemFS) {
		e := openTest(t, disk)
		history(t, e, 1, 2)
		wantHistory(t, e)
	})
}

func TestReadersFinishOnReplacedCopy(t *testing.T) {
	fs := vfs.NewMem()
	e := openTest(t, fs)
	history(t, e, 1, 30)
	if err := e.Checkpoint("data/checkpoint"); err != nil {
		t.Fatal(err)
	}
	history(t, e, 31, 40)
	started, finish := make(chan struct{}), make(chan struct{})
	var got []uint64
	var readErr error
	var reader sync.WaitGroup
	reader.Go(func() {
		readErr = e.Records(1, 0, func(start uint64, _ []byte) bool {
			if start == 1 {
				close(started)
				<-finish
			}
			got = append(got, start)
			return true
		})
	})
	<-started
	stale := e.NewBatch()
	stale.PutStream("x", nil)
	if err := e.Replace("data/checkpoint"); err != nil {
		t.Fatal(err)
	}
	if got := wantHistory(t, e); got != 30 { // while the old reader is still there
		t.Fatalf("got entries to %d, want 30", got)
	}
	if err := e.Commit(stale, globalsAt(41)); err == nil {
		t.Fatal("a batch for the old copy was committed to the new")
	}
	close(finish)
	reader.Wait()
	if readErr != nil || len(got) != 40 {
		t.Fatalf("got %d records, %v, want 40", len(got), readErr)
	}
	history(t, e, 31, 33)
	if err := e.Replace("data/checkpoint"); err != nil { // the checkpoint is as it was
		t.Fatal(err)
	}
	if got := wantHistory(t, e); got != 30 {
		t.Fatalf("got entries to %d, want 30", got)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if names, err := fs.List("data/copy"); err != nil || len(names) != 2 {
		t.Fatalf("got %v, %v: a replaced copy was left", names, err)
	}
}

func TestReplaceByWhatIsNoCheckpointKeepsTheCopy(t *testing.T) {
	fs := vfs.NewMem()
	e := openTest(t, fs)
	history(t, e, 1, 5)
	if err := fs.MkdirAll("data/empty", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"data/empty", "data/absent"} {
		if err := e.Replace(dir); err == nil {
			t.Fatalf("%s: accepted", dir)
		}
		if got := wantHistory(t, e); got != 5 {
			t.Fatalf("got entries to %d, want 5", got)
		}
	}
}

func TestCopyWithoutPointerIsNotTakenForEmpty(t *testing.T) {
	fs := vfs.NewMem()
	e := openTest(t, fs)
	history(t, e, 1, 5)
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.Remove("data/copy/" + pointerFile); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testConfig(fs)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
	if len(pathsWith(files(t, fs, "data/copy"), tableSuffix)) == 0 {
		t.Fatal("the tables are gone")
	}
}

// Each byte range of each table is flipped in turn: a read gives what was
// written or says ErrCorrupt and the file.
func TestDamagedTableIsNamed(t *testing.T) {
	fs := vfs.NewMem()
	e := openTest(t, fs)
	history(t, e, 1, 60)
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	detected := 0
	for _, path := range pathsWith(files(t, fs, "data/copy"), tableSuffix) {
		original, err := readFile(fs, path, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(original); at += 1 + len(original)/150 {
			damaged := append([]byte(nil), original...)
			damaged[at] ^= 0x10
			if err := writeSynced(fs, path, damaged); err != nil {
				t.Fatal(err)
			}
			err := readAll(fs)
			if err != nil && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), fs.PathBase(path))) {
				t.Fatalf("byte %d of %s: got %v", at, path, err)
			}
			if err != nil {
				detected++
			}
		}
		if err := writeSynced(fs, path, original); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("detected %d", detected)
	if detected < 100 {
		t.Fatalf("got %d detected only", detected)
	}
}

// readAll opens a copy and compares what it holds.
func readAll(fs vfs.FS) error {
	cfg := testConfig(fs)
	cfg.Fatal = func(error) {} // compactions meet the damage too
	e, err := Open(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	wrong, next := error(nil), uint64(1)
	err = e.Records(1, 0, func(start uint64, value []byte) bool {
		if want := fmt.Sprintf("%d %s", next, filler[:fill(next)]); start != next || string(value) != want {
			wrong = fmt.Errorf("record %d is wrong without an error", start)
		}
		next++
		return wrong == nil
	})
	if err == nil && wrong == nil && next != 61 {
		wrong = fmt.Errorf("records end at %d without an error", next-1)
	}
	if err != nil || wrong != nil {
		return errors.Join(err, wrong)
	}
	_, _, err = e.get(appendStreamKey(nil, "newest"))
	return err
}

func TestMissingOrCutTableIsDetectedAtOpen(t *testing.T) {
	for name, damage := range map[string]func(fs vfs.FS, path string) error{
		"missing": func(fs vfs.FS, path string) error { return fs.Remove(path) },
		"cut": func(fs vfs.FS, path string) error {
			data, err := readFile(fs, path, 1<<30)
			if err != nil {
				return err
			}
			return writeSynced(fs, path, data[:len(data)/2])
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			e := openTest(t, fs)
			history(t, e, 1, 60)
			if err := errors.Join(e.Flush(), e.Close()); err != nil {
				t.Fatal(err)
			}
			if err := damage(fs, pathsWith(files(t, fs, "data/copy"), tableSuffix)[0]); err != nil {
				t.Fatal(err)
			}
			if err := readAll(fs); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// A flush whose fsync fails ends the process: it is not tried again behind the
// back of whoever was told that the log may be cut.
func TestFailedFsyncIsFatal(t *testing.T) {
	var mu sync.Mutex
	failing := false
	fatal := make(chan error, 100)
	cfg := testConfig(hooked(vfs.NewMem(), func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if failing && op.Kind == errorfs.OpFileSync {
			failing = false
			return errDisk
		}
		return nil
	}))
	cfg.Fatal = func(err error) { fatal <- err }
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	history(t, e, 1, 5)
	mu.Lock()
	failing = true
	mu.Unlock()
	_ = e.Flush() // pebble tries again; a process that ends does not
	select {
	case err := <-fatal:
		if !errors.Is(err, errDisk) {
			t.Fatalf("got %v", err)
		}
	default:
		t.Fatal("nobody was told")
	}
}
