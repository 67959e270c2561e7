package storage

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// roomPause is how long a flush or a compaction that had no space waits before
	// pebble may try it again; it doubles, up to roomPauseMax, until one succeeds.
	roomPause    = time.Second
	roomPauseMax = time.Minute
	// mergeStride is what a compaction writes between questions for room.
	mergeStride = 1 << 20
)

// pebble's names for what it writes.
const (
	mergeCategory = vfs.DiskWriteCategory("pebble-compaction")
	flushCategory = vfs.DiskWriteCategory("pebble-memtable-flush")
)

// errNoRoom marks what pebble may try again. What a new table was to hold is
// elsewhere: in memory and in the raft log, or in the tables that it was to
// replace. pebble removes the part that was written.
var errNoRoom = errors.New("no disk space for a new table; it is tried again")

// tableFS is the copy's file system for pebble, with new tables that may find no
// space. Compactions find none already when the rest is needed by others: they
// take as much as all that they read before they give it back, and a flush or the
// log beside them would meet the end of the disk.
type tableFS struct {
	vfs.FS
	mayMerge func() bool // asked before each mergeStride
	waits    *waits
}

// waits keeps pebble from trying again at once.
type waits struct {
	closing <-chan struct{}
	failed  atomic.Int32 // attempts since the last success
}

func (w *waits) succeeded() { w.failed.Store(0) }

// wait is called without pebble's lock.
func (w *waits) wait() {
	n := min(w.failed.Add(1)-1, 10)
	select {
	case <-time.After(min(roomPause<<n, roomPauseMax)):
	case <-w.closing:
	}
}

func (fs tableFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if c != mergeCategory && c != flushCategory {
		return fs.FS.Create(name, c)
	}
	f, err := fs.FS.Create(name, c)
	if err != nil {
		return nil, fs.judge(err)
	}
	return &tableFile{File: f, fs: fs, merges: c == mergeCategory, written: mergeStride}, nil
}

// Unwrap implements vfs.FS.
func (fs tableFS) Unwrap() vfs.FS { return fs.FS }

func (fs tableFS) judge(err error) error {
	if err == nil || !noSpace(err) {
		return err
	}
	fs.waits.wait()
	return fmt.Errorf("%w: %w", errNoRoom, err)
}

// tableFile is written by one goroutine.
type tableFile struct {
	vfs.File
	fs      tableFS
	merges  bool
	written int // since the last question
}

func (f *tableFile) Write(p []byte) (int, error) {
	if f.written += len(p); f.merges && f.written >= mergeStride {
		f.written = 0
		if !f.fs.mayMerge() {
			f.fs.waits.wait()
			return 0, fmt.Errorf("%w: what is left is kept for the log and for flushes", errNoRoom)
		}
	}
	n, err := f.File.Write(p)
	return n, f.fs.judge(err)
}

func (f *tableFile) Preallocate(at, length int64) error {
	return f.fs.judge(f.File.Preallocate(at, length))
}

func (f *tableFile) Sync() error     { return f.fs.judge(f.File.Sync()) }
func (f *tableFile) SyncData() error { return f.fs.judge(f.File.SyncData()) }

func (f *tableFile) SyncTo(length int64) (full bool, err error) {
	full, err = f.File.SyncTo(length)
	return full, f.fs.judge(err)
}
