package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft-wal/types"
)

// walFiles are raft-wal's files, with what it does not care for: how long an
// fsync takes, what a failure in its background was, the space that a segment was
// given and will not need, and that the blocks it is given are ready to be written.
type walFiles struct {
	types.VFS
	dir     string
	log     *slog.Logger
	metrics *Metrics
	fatal   func(error)

	mu     sync.Mutex          // guards what follows
	open   map[string]*walFile // that may still be written to, by name
	ends   map[string]int64    // of segments that were there before, until they are opened
	failed error               // the first failure
}

func newWALFiles(inner types.VFS, cfg LogConfig) *walFiles {
	return &walFiles{
		VFS: inner, dir: cfg.Dir, log: cfg.Log, metrics: cfg.Metrics, fatal: cfg.Fatal,
		open: map[string]*walFile{}, ends: map[string]int64{},
	}
}

// Create implements types.VFS. raft-wal calls it in the background too, where it
// logs what went wrong, goes on, and has no place for the next entry.
func (w *walFiles) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := w.VFS.Create(dir, name, size)
	if err != nil {
		return nil, w.fail(fmt.Errorf("make raft log segment %s of %d bytes: %w", filepath.Join(dir, name), size, err))
	}
	return w.keep(name, f, int64(size)), nil
}

// OpenWriter implements types.VFS.
func (w *walFiles) OpenWriter(dir, name string) (types.WritableFile, error) {
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	f, err := w.VFS.OpenWriter(dir, name)
	if err != nil {
		return nil, err
	}
	return w.keep(name, f, info.Size()), nil
}

// Delete implements types.VFS. It syncs the directory; raft-wal logs a failure
// and goes on.
func (w *walFiles) Delete(dir, name string) error {
	w.mu.Lock()
	delete(w.open, name)
	w.mu.Unlock()
	err := w.VFS.Delete(dir, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return w.fail(fmt.Errorf("delete raft log segment %s: %w", filepath.Join(dir, name), err))
	}
	return err
}

func (w *walFiles) keep(name string, f types.WritableFile, size int64) *walFile {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := &walFile{WritableFile: f, owner: w, name: name, size: size}
	kept.end.Store(w.ends[name])
	delete(w.ends, name)
	w.open[name] = kept
	return kept
}

// reaches notes how far a segment that is not open yet has been written.
func (w *walFiles) reaches(name string, end int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends[name] = end
}

// fail reports the first failure and keeps it for those who meet its
// consequences.
func (w *walFiles) fail(err error) error {
	w.mu.Lock()
	first := w.failed == nil
	if first {
		w.failed = err
	}
	w.mu.Unlock()
	if first {
		w.fatal(err)
	}
	return err
}

// cause is the first failure, nil for none.
func (w *walFiles) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// sealed gives back what a segment that takes no more entries was given and did
// not use. A segment is cut off by each change of leader that drops entries, and
// would keep its 64 MiB for a few of them. Nothing depends on it: a crash leaves
// the file long or short.
func (w *walFiles) sealed(name string) {
	w.mu.Lock()
	f := w.open[name]
	delete(w.open, name)
	w.mu.Unlock()
	if f == nil || f.end.Load() == 0 {
		return
	}
	if err := cutSlack(filepath.Join(w.dir, name), f.end.Load()); err != nil {
		w.log.Warn("unused space of a raft log segment not given back", "file", name, "err", err)
	}
}

// cutSlack cuts a file off at end, if it is longer.
func cutSlack(path string, end int64) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= end {
		return err
	}
	return os.Truncate(path, end)
}

// walFile is one segment.
type walFile struct {
	types.WritableFile
	owner *walFiles
	name  string
	size  int64        // that it was given
	ready int64        // up to where its blocks have been written, at least
	end   atomic.Int64 // of what was written; 0 when that is not known
}

const (
	// readyAhead is how much behind a small write is filled with zeros.
	readyAhead = 256 << 10
	// readyLeast is the size from which on a write is not small: it costs more than
	// what its blocks do.
	readyLeast = 64 << 10
)

var zeros [readyAhead]byte

func (f *walFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.WritableFile.WriteAt(p, at)
	end := at + int64(n)
	if end > f.end.Load() {
		f.end.Store(end) // raft-wal has one writer
	}
	if err != nil || end <= f.ready {
		return n, err
	}
	f.ready = end
	if len(p) < readyLeast {
		err = f.fillAhead(end)
	}
	return n, err
}

// fillAhead writes zeros where the next writes will go. The blocks that a segment
// was given are marked as not written yet, and each first write to one of them
// changes that mark, which an fsync has to wait for: a commit of the file system's
// journal. The zeros become durable with the write before them; whether they do
// before a crash or not, what is read there is zero.
func (f *walFile) fillAhead(from int64) error {
	n := min(readyAhead, f.size-from)
	if n <= 0 {
		return nil
	}
	if _, err := f.WritableFile.WriteAt(zeros[:n], from); err != nil {
		return fmt.Errorf("prepare raft log segment %s: %w", f.name, err)
	}
	f.ready = from + n
	return nil
}

func (f *walFile) Sync() error {
	start := time.Now()
	if err := f.WritableFile.Sync(); err != nil {
		return f.owner.fail(fmt.Errorf("fsync raft log segment %s: %w", f.name, err))
	}
	f.owner.metrics.synced(storeLog, start)
	return nil
}
