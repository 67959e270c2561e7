package storage

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/types"
)

// The kinds of raft log, as raft.log_store names them.
const (
	LogWAL    = "wal"
	LogBoltDB = "boltdb"
)

const (
	defaultSegmentBytes = 64 << 20
	segmentBytesMin     = 4 << 20 // of the default on a small disk
	segmentsPerDisk     = 64      // of the default size, on a small disk
	segmentBytesMax     = 1 << 30 // raft-wal counts offsets in 32 bits
	boltGrowthBytes     = 16 << 20
)

// LogConfig says where the raft log lies and of which kind it is.
type LogConfig struct {
	Dir          string       // of the log alone; made when absent
	Kind         string       // LogWAL or LogBoltDB; "": LogWAL
	SegmentBytes int          // of a LogWAL file; 0: 64 MiB, or a 64th of a disk below 4 GiB
	Log          *slog.Logger // nil: discarded
	Metrics      *Metrics     // nil: not counted
	// Fatal is told when a write or fsync has failed. Such a log takes no more
	// writes: an fsync that is tried again may report success for data that is
	// gone. It must end the process and not return. nil: panic.
	Fatal func(error)
	// Damaged is told, each time it is met, that a record cannot be read any more.
	// nil: nobody is.
	Damaged func(error)

	files types.VFS // of LogWAL; tests count and break them
}

// Validate names the first field that cannot be used.
func (c LogConfig) Validate() error {
	switch {
	case c.Dir == "":
		return errors.New("storage: Dir of the raft log is empty")
	case c.Kind != "" && c.Kind != LogWAL && c.Kind != LogBoltDB:
		return fmt.Errorf("storage: raft.log_store is %q; use %s or %s", c.Kind, LogWAL, LogBoltDB)
	case c.SegmentBytes < 0 || c.SegmentBytes > segmentBytesMax:
		return fmt.Errorf("storage: SegmentBytes is %d; use at most 1 GiB, or 0 for 64 MiB", c.SegmentBytes)
	}
	return nil
}

// Log is the raft log: raft-wal or raft-boltdb, with a checksum of ours in each
// record that is verified by each GetLog. It implements raft.LogStore and
// raft.MonotonicLogStore.
type Log struct {
	cfg   LogConfig
	meta  *logMeta
	inner innerLog
	files *walFiles // of LogWAL
	codec *recordCodec

	mu     sync.Mutex // one writer; guards codec.first and failed
	failed error      // the first failed write, ErrClosed after Close
	told   sync.Once  // Fatal
}

// segmentBytesOn is the default size of a segment: a few of them must fit on a
// small disk.
func segmentBytesOn(disk vfs.FS, dir string) (int, error) {
	usage, err := disk.GetDiskUsage(dir)
	if err != nil {
		return 0, fmt.Errorf("measure the disk of %s: %w", dir, err)
	}
	return int(min(max(usage.TotalBytes/segmentsPerDisk, segmentBytesMin), defaultSegmentBytes)), nil
}

// NextSegmentBytes is what the log takes from the disk at once when it grows.
func (l *Log) NextSegmentBytes() int64 {
	if l.cfg.Kind == LogWAL {
		return int64(l.cfg.SegmentBytes)
	}
	return boltGrowthBytes
}

// innerLog is what raft-wal and raft-boltdb have in common.
type innerLog interface {
	raft.LogStore
	io.Closer
}

// OpenLog opens the log in cfg.Dir, or begins one. Damage that shows is an error
// that wraps ErrCorrupt.
func OpenLog(cfg LogConfig) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Kind == "" {
		cfg.Kind = LogWAL
	}
	cfg.Log, cfg.Fatal = orDiscard(cfg.Log), orPanic(cfg.Fatal)
	if cfg.Damaged == nil {
		cfg.Damaged = func(error) {}
	}
	l, err := openLog(cfg)
	if err != nil {
		if errors.Is(err, ErrCorrupt) {
			cfg.Metrics.corruption(storeLog)
		}
		return nil, fmt.Errorf("open raft log: %w", err)
	}
	return l, nil
}

func openLog(cfg LogConfig) (*Log, error) {
	l := &Log{}
	fatal := cfg.Fatal
	cfg.Fatal = func(err error) { l.told.Do(func() { fatal(err) }) } // of the cause, not of what follows from it
	disk := StrictFS(vfs.Default, cfg.Fatal)
	if err := makeDir(disk, cfg.Dir); err != nil {
		return nil, err
	}
	meta, err := openLogMeta(disk, cfg.Dir, cfg.Kind)
	if err != nil {
		return nil, err
	}
	if cfg.SegmentBytes == 0 {
		if cfg.SegmentBytes, err = segmentBytesOn(disk, cfg.Dir); err != nil {
			return nil, err
		}
	}
	if cfg.files == nil {
		cfg.files = newSegmentFS()
	}
	l.cfg, l.meta, l.codec = cfg, meta, &recordCodec{id: meta.id()}
	if cfg.Kind == LogWAL {
		l.files = newWALFiles(cfg.files, cfg)
		l.inner, err = openWAL(cfg.Dir, cfg, meta, l.codec, l.files)
	} else {
		l.inner, err = openBoltLog(cfg, l.codec)
	}
	if err != nil {
		return nil, err
	}
	// A file that the last process made but did not sync is used from here on.
	if err := errors.Join(syncDir(disk, cfg.Dir), l.checkReach()); err != nil {
		return nil, errors.Join(err, l.inner.Close())
	}
	return l, nil
}

// checkReach compares the log with what is known of its two ends.
func (l *Log) checkReach() error {
	first, last, err := l.bounds()
	if err != nil {
		return err
	}
	known := l.meta.known()
	if last < known.Floor {
		return corrupt(l.cfg.Dir, "it ends at entry %d and reached %d before", last, known.Floor)
	}
	if known.Start != 0 && first > known.Start {
		return corrupt(l.cfg.Dir, "it begins at entry %d and held %d before", first, known.Start)
	}
	return nil
}

func (l *Log) bounds() (first, last uint64, err error) {
	if first, err = l.inner.FirstIndex(); err != nil {
		return 0, 0, err
	}
	if last, err = l.inner.LastIndex(); err != nil {
		return 0, 0, err
	}
	if first > last || first == 0 && last != 0 {
		return 0, 0, corrupt(l.cfg.Dir, "it begins at entry %d and ends at %d", first, last)
	}
	return first, last, nil
}

// IsMonotonic tells raft that there may be no gaps between indexes.
func (l *Log) IsMonotonic() bool { return l.cfg.Kind == LogWAL }

// FirstIndex returns the first index, 0 for an empty log.
func (l *Log) FirstIndex() (uint64, error) { return l.inner.FirstIndex() }

// LastIndex returns the last index, 0 for an empty log.
func (l *Log) LastIndex() (uint64, error) { return l.inner.LastIndex() }

// GetLog reads and verifies an entry. One that is not in the log gives
// raft.ErrLogNotFound itself; one that should be gives ErrCorrupt.
func (l *Log) GetLog(index uint64, entry *raft.Log) error {
	err := l.inner.GetLog(index, entry)
	if err == raft.ErrLogNotFound {
		if err = l.checkAbsent(index); err == nil {
			err = l.lookAgain(index, entry)
		}
	}
	switch {
	case err == nil && entry.Index == index:
		return nil
	case err == raft.ErrLogNotFound:
		return err
	case err == nil:
		err = corrupt(l.cfg.Dir, "entry %d lies in the place of entry %d", entry.Index, index)
	case errors.Is(err, errRecord), errors.Is(err, wal.ErrCorrupt), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = corrupt(l.cfg.Dir, "entry %d: %v", index, err)
	case !errors.Is(err, ErrCorrupt):
		return fmt.Errorf("read entry %d of the raft log in %s: %w", index, l.cfg.Dir, err)
	}
	l.cfg.Metrics.corruption(storeLog)
	l.cfg.Damaged(err)
	return err
}

// lookAgain is for an entry that was not found and yet ought to be there: it may
// have come in between.
func (l *Log) lookAgain(index uint64, entry *raft.Log) error {
	err := l.inner.GetLog(index, entry)
	if err == raft.ErrLogNotFound && l.checkAbsent(index) == nil {
		return corrupt(l.cfg.Dir, "entry %d is missing", index)
	}
	return err
}

// checkAbsent returns raft.ErrLogNotFound for an index outside of the log, and
// nil for one that ought to be there.
func (l *Log) checkAbsent(index uint64) error {
	first, err := l.inner.FirstIndex()
	if err != nil {
		return err
	}
	last, err := l.inner.LastIndex()
	if err != nil {
		return err
	}
	if first == 0 || index < first || index > last {
		return raft.ErrLogNotFound
	}
	return nil
}

// StoreLog appends one entry.
func (l *Log) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs appends entries; they are durable when it returns.
func (l *Log) StoreLogs(entries []*raft.Log) error {
	if len(entries) == 0 {
		return nil
	}
	for _, entry := range entries {
		if n := recordLen(entry); n > recordBytesMax {
			return fmt.Errorf("store entry %d of the raft log: %d bytes are above %d", entry.Index, n, recordBytesMax)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return l.failed
	}
	if err := l.meta.raise(entries); err != nil {
		return l.fail(err)
	}
	l.codec.first = entries[0].Index
	if err := l.inner.StoreLogs(entries); err != nil {
		return l.fail(fmt.Errorf("store entries %d to %d of the raft log in %s: %w", entries[0].Index, entries[len(entries)-1].Index, l.cfg.Dir, err))
	}
	if err := l.meta.stored(entries[0].Index, entries[len(entries)-1].Index); err != nil {
		return l.fail(err)
	}
	return nil
}

// DeleteRange deletes the entries from min to max.
func (l *Log) DeleteRange(min, max uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return l.failed
	}
	first, last, err := l.bounds()
	if err != nil {
		return err
	}
	if max < first || min > last || last == 0 {
		return nil
	}
	if err := l.meta.deleting(min, max, first, last); err != nil {
		return l.fail(err)
	}
	if err := l.inner.DeleteRange(min, max); err != nil {
		return l.fail(fmt.Errorf("delete entries %d to %d of the raft log in %s: %w", min, max, l.cfg.Dir, err))
	}
	return nil
}

// fail makes err the answer to every later write. The caller holds mu.
func (l *Log) fail(err error) error {
	if l.files != nil {
		if cause := l.files.cause(); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w, after: %w", err, cause)
		}
	}
	l.failed = err
	l.cfg.Fatal(err)
	return err
}

// Close notes how far the log reaches and closes it.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.failed, ErrClosed) {
		return nil
	}
	var err error
	if l.failed == nil {
		err = l.noteEnd()
	}
	l.failed = ErrClosed
	return errors.Join(err, l.inner.Close())
}

func (l *Log) noteEnd() error {
	last, err := l.inner.LastIndex()
	if err != nil || last == l.meta.known().Floor {
		return err
	}
	return l.meta.reached(last)
}

// timed measures a whole write: bolt does not show its fsyncs.
func timed(m *Metrics, store string, write func() error) error {
	start := time.Now()
	if err := write(); err != nil {
		return err
	}
	m.synced(store, start)
	return nil
}
