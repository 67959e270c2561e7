package storage

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// failingSyncs fails one fsync, of a file or a directory, and counts all.
type failingSyncs struct {
	mu    sync.Mutex
	count int
	when  int // which one fails; 0 for none
	with  error
	path  string // of the one that failed
	told  chan error
}

func failSync(when int, with error) *failingSyncs {
	return &failingSyncs{when: when, with: with, told: make(chan error, 10)}
}

func (f *failingSyncs) fs(mem *vfs.MemFS) vfs.FS {
	return hooked(mem, func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		default:
			return nil
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.count++; f.count != f.when {
			return nil
		}
		f.path = op.Path
		return fmt.Errorf("sync %s: %w", op.Path, f.with)
	})
}

// fatal does not return, as the end of the process would not: pebble panics
// after some errors. What it holds stays until the test binary ends.
func (f *failingSyncs) fatal(err error) {
	f.told <- err
	select {}
}

// live takes a node's copy through all that syncs: it is made, flushed, made a
// snapshot of, and replaced by one. Errors do not matter here.
func (f *failingSyncs) live(t *testing.T) {
	fs := f.fs(vfs.NewMem())
	cfg := testConfig(fs)
	cfg.Fatal = f.fatal
	e, err := Open(cfg)
	if err != nil {
		return
	}
	defer e.Close()
	b := e.NewBatch()
	b.PutStream("s", []byte("state"))
	if err := e.Commit(b, globalsAt(9)); err != nil {
		t.Fatal(err)
	}
	snapshots, err := OpenSnapshots(SnapshotsConfig{Dir: "data/snapshots", FS: fs, Fatal: f.fatal})
	if err != nil {
		return
	}
	for index := uint64(9); index < 11; index++ { // the second removes the first
		sink, err := snapshots.Create(1, index, 3, testConfiguration, 2, nil)
		if err != nil {
			return
		}
		if sink.(*SnapshotSink).Adopt(e.Checkpoint) != nil || sink.Close() != nil {
			return
		}
	}
	list, err := snapshots.List()
	if err != nil {
		t.Fatal(err)
	}
	_, r, err := snapshots.Open(list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_ = e.Replace(r.(*SnapshotReader).Checkpoint())
}

func TestEveryFailedFsyncIsFatal(t *testing.T) {
	whole := failSync(0, nil)
	whole.live(t)
	if whole.count < 20 || len(whole.told) != 0 {
		t.Fatalf("got %d fsyncs and %d fatal errors without a failure", whole.count, len(whole.told))
	}
	t.Logf("%d fsyncs", whole.count)
	for when := 1; when <= whole.count; when++ {
		f, done := failSync(when, syscall.EIO), make(chan struct{})
		go func() {
			defer close(done)
			f.live(t)
		}()
		select {
		case err := <-f.told:
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("fsync %d, of %s, failed: got fatal error %v", when, f.path, err)
			}
		case <-done:
			if f.path != "" {
				t.Errorf("fsync %d, of %s, failed, and life went on", when, f.path)
			}
		}
	}
}

func TestCheckpointWithoutSpaceFailsTheSnapshotOnly(t *testing.T) {
	mem := vfs.NewMem()
	var full bool
	fs := hooked(mem, func(op errorfs.Op) error {
		if full && len(pathsWith([]string{op.Path}, "snapshots")) > 0 && op.Kind != errorfs.OpRemove && op.Kind != errorfs.OpRemoveAll {
			return syscall.ENOSPC
		}
		return nil
	})
	f := failSync(0, nil)
	cfg := testConfig(fs)
	cfg.Fatal = f.fatal
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	history(t, e, 1, 20)
	snapshots, err := OpenSnapshots(SnapshotsConfig{Dir: "data/snapshots", FS: fs, Fatal: f.fatal})
	if err != nil {
		t.Fatal(err)
	}
	sink := createSink(t, snapshots, 20)
	full = true
	if err := sink.Adopt(e.Checkpoint); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want no space", err)
	}
	if err := sink.Cancel(); err != nil {
		t.Fatal(err)
	}
	full = false
	if len(f.told) != 0 {
		t.Fatalf("got fatal error %v", <-f.told)
	}
	take(t, snapshots, e)
	if got := len(listed(t, snapshots)); got != 1 {
		t.Fatalf("got %d snapshots with space again", got)
	}
}

// A flush or a compaction that has no space leaves everything as it is, in
// memory and in the tables, and is tried again until it has.
func TestTablesWithoutSpaceAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Bool
		for _, category := range []vfs.DiskWriteCategory{mergeCategory, flushCategory} {
			tries := make(chan time.Time, 1000)
			fs := refusing{vfs.NewMem(), func(c vfs.DiskWriteCategory) error {
				if c != category || !full.Load() {
					return nil
				}
				tries <- time.Now()
				return syscall.ENOSPC
			}}
			f := failSync(0, nil)
			cfg := testConfig(fs)
			cfg.Fatal = f.fatal
			e, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			full.Store(true)
			applied := uint64(0)
			for len(tries) == 0 { // until tables overlap enough to be merged
				if applied > 1000 {
					t.Fatalf("no %s was tried", category)
				}
				history(t, e, applied+1, applied+5)
				applied += 5
				flushed := make(chan error, 1)
				go func() { flushed <- e.Flush() }()
				synctest.Wait()
				if category == mergeCategory {
					if err := <-flushed; err != nil {
						t.Fatal(err)
					}
				}
			}
			first, second, third := <-tries, <-tries, <-tries
			if a, b := second.Sub(first), third.Sub(second); a < roomPause || b < 2*roomPause {
				t.Fatalf("%s: tried again after %v and %v", category, a, b)
			}
			if got := wantHistory(t, e); got != applied {
				t.Fatalf("got entries to %d, want %d", got, applied)
			}
			full.Store(false)
			time.Sleep(2 * roomPauseMax)
			if category == mergeCategory && merged(e) == 0 {
				t.Fatal("not merged with space again")
			}
			if err := e.Flush(); err != nil {
				t.Fatal(err)
			}
			if got := wantHistory(t, e); got != applied || e.Persisted() != e.Globals() || len(f.told) != 0 {
				t.Fatalf("got entries to %d, want %d; persisted %+v, %d fatal errors", got, applied, e.Persisted(), len(f.told))
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// merged counts the tables that compactions have made.
func merged(e *Engine) (tables int64) {
	for _, level := range e.current.Load().db.Metrics().Levels[1:] {
		tables += int64(level.TablesCount)
	}
	return tables
}

// Compactions leave the last of the space to those who cannot wait.
func TestCompactionsAskForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, may atomic.Int64
		cfg := testConfig(vfs.NewMem())
		cfg.MayMerge = func() bool {
			asked.Add(1)
			return may.Load() == 1
		}
		e, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for applied := uint64(0); asked.Load() == 0; applied += 5 {
			if applied > 1000 {
				t.Fatal("no compaction was tried")
			}
			history(t, e, applied+1, applied+5)
			if err := e.Flush(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(roomPauseMax)
		if got := merged(e); got != 0 {
			t.Fatalf("got %d merged tables without leave", got)
		}
		may.Store(1)
		time.Sleep(2 * roomPauseMax)
		if merged(e) == 0 {
			t.Fatal("got no merged tables with leave")
		}
		wantHistory(t, e)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// refusing refuses to make files of a category.
type refusing struct {
	vfs.FS
	refuse func(vfs.DiskWriteCategory) error
}

func (r refusing) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := r.refuse(c); err != nil {
		return nil, err
	}
	return r.FS.Create(name, c)
}
