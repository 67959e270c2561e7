package storage

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"
)

// notedFiles notes where segments are written to, and what is done to make that
// durable.
type notedFiles struct {
	types.VFS
	mu     sync.Mutex
	writes [][2]int64 // from, to
}

type notedFile struct {
	types.WritableFile
	owner *notedFiles
}

func (n *notedFiles) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := n.VFS.Create(dir, name, size)
	return notedFile{f, n}, err
}

func (f notedFile) WriteAt(p []byte, at int64) (int, error) {
	f.owner.mu.Lock()
	f.owner.writes = append(f.owner.writes, [2]int64{at, at + int64(len(p))})
	f.owner.mu.Unlock()
	return f.WritableFile.WriteAt(p, at)
}

// Nearly every small write goes where zeros have been written before, and none of
// those zeros over an entry.
func TestSmallWritesOfTheLogMeetBlocksThatAreReady(t *testing.T) {
	const segment, size, stores = 2 << 20, 5000, 350 // most of a segment
	files := &notedFiles{VFS: newSegmentFS()}
	cfg := LogConfig{Dir: filepath.Join(t.TempDir(), "log"), SegmentBytes: segment, files: files}
	l := openTestLog(t, cfg)
	for i := uint64(1); i <= stores; i++ {
		data := make([]byte, size)
		for k := range data {
			data[k] = byte(i)
		}
		if err := l.StoreLog(&raft.Log{Index: i, Term: 1, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	ready, late, end := int64(0), 0, int64(0)
	for _, w := range files.writes {
		if zeros := w[1]-w[0] == readyAhead; zeros && w[0] != end {
			t.Fatalf("zeros from %d on, where data ends at %d", w[0], end)
		} else if !zeros {
			if w[0] != end {
				t.Fatalf("a write at %d, where data ends at %d", w[0], end)
			}
			if end = w[1]; end > ready {
				late++
			}
		}
		ready = max(ready, w[1])
	}
	if most := 2 + stores*(size+200)/readyAhead; late > most {
		t.Errorf("%d of %d writes met blocks that were not ready, want at most %d", late, stores, most)
	}
	info, err := os.Stat(onlySegment(t, cfg.Dir))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() != segment {
		t.Errorf("the segment has %d bytes, want the %d that it was given", info.Size(), segment)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openTestLog(t, LogConfig{Dir: cfg.Dir, SegmentBytes: segment})
	var entry raft.Log
	for i := uint64(1); i <= stores; i++ {
		if err := l.GetLog(i, &entry); err != nil || len(entry.Data) != size || slices.ContainsFunc(entry.Data, func(b byte) bool { return b != byte(i) }) {
			t.Fatalf("entry %d: got %d bytes, %v", i, len(entry.Data), err)
		}
	}
}

// What a new or reopened segment needs beside its data is made durable once.
func TestTheFirstSyncOfASegmentIsWhole(t *testing.T) {
	if !canSyncData {
		t.Skip("this system knows fsync alone")
	}
	dir := t.TempDir()
	whole := &wholeFiles{VFS: walfs.New()}
	fs := segmentFS{whole}
	for name, open := range map[string]func() (types.WritableFile, error){
		"new":      func() (types.WritableFile, error) { return fs.Create(dir, "a", 1<<20) },
		"reopened": func() (types.WritableFile, error) { return fs.OpenWriter(dir, "b") },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, "b"), make([]byte, 1<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := open()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			before := whole.syncs.Load()
			for range 3 {
				if err := f.Sync(); err != nil {
					t.Fatal(err)
				}
			}
			if got := whole.syncs.Load() - before; got != 1 {
				t.Fatalf("got %d whole syncs of three, want the first", got)
			}
		})
	}
}

// wholeFiles counts the syncs that are not left to fdatasync.
type wholeFiles struct {
	types.VFS
	syncs atomic.Int64
}

func (w *wholeFiles) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := w.VFS.Create(dir, name, size)
	return wholeFile{f, w}, err
}

func (w *wholeFiles) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := w.VFS.OpenWriter(dir, name)
	return wholeFile{f, w}, err
}

type wholeFile struct {
	types.WritableFile
	owner *wholeFiles
}

func (f wholeFile) Sync() error {
	f.owner.syncs.Add(1)
	return f.WritableFile.Sync()
}

func (f wholeFile) SyscallConn() (syscall.RawConn, error) {
	return f.WritableFile.(syscall.Conn).SyscallConn()
}
