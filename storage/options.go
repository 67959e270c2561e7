package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

const (
	blockBytes       = 32 << 10 // catch-up reads are long; gets are few and cached
	tableBytesL0     = 4 << 20
	tableBytesBase   = 8 << 20 // of the first level below; of each after it twice as much
	splitFlushAt     = 384 << 10
	baseLevelBytes   = 128 << 20 // about as much as comes down to it at once
	bloomBitsPerKey  = 10
	memTablesMax     = 4       // of Config.MemTableBytes
	memTableSearched = 8 << 20 // of one table: what is added is searched for its place
	memTablesMost    = 64      // that a read may have to look into
	l0Compaction     = 32      // half as many flushes, of one place in the key space
	l0StopWrites     = 96
	openTablesMax    = 4096
	compactionsLeast = 1
	compactionsMost  = 2
)

// copyFormat is pebble's own format. It is named, so that another version of pebble
// does not change it unasked: a copy that has been raised cannot be read by the
// version of mainstem before.
const copyFormat = pebble.FormatValueSeparation

// options returns pebble's options. The write-ahead log is off: the raft log is
// that. File systems are compared by pebble, so that ours is a pointer. Values stay
// in the tables (no value separation): many tiny streams are the common case.
func (e *Engine) options() *pebble.Options {
	table, tables := memTables(e.cfg.MemTableBytes)
	o := &pebble.Options{
		FS:                          &tableFS{e.cfg.FS, e.cfg.MayMerge, &e.waits},
		Cache:                       e.cache,
		DisableWAL:                  true,
		FormatMajorVersion:          copyFormat,
		MemTableSize:                uint64(table),
		MemTableStopWritesThreshold: tables,
		L0CompactionThreshold:       l0Compaction,
		L0StopWritesThreshold:       l0StopWrites,
		LBaseMaxBytes:               baseLevelBytes,
		MaxOpenFiles:                openTablesMax,
		Logger:                      pebbleLog{e},
		EventListener: &pebble.EventListener{
			BackgroundError: e.backgroundError,
			FlushEnd: func(info pebble.FlushInfo) {
				if info.Err == nil {
					e.waits.succeeded()
				}
			},
			CompactionEnd: func(info pebble.CompactionInfo) {
				if info.Err == nil {
					e.waits.succeeded()
				}
			},
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				e.cfg.Metrics.corruption(storeCopy)
				e.cfg.Damaged(corrupt(info.Path, "%v", info.Details))
			},
		},
		CompactionConcurrencyRange: func() (int, int) { return compactionsLeast, compactionsMost },
	}
	// Appends go to the ends of streams, so that of what lies below a flush only those
	// ends change. A table that spans many streams cannot be merged without all that
	// lies between its first and last; narrow ones leave the rest where it is.
	o.TargetFileSizes[0], o.TargetFileSizes[1] = tableBytesL0, tableBytesBase
	o.FlushSplitBytes = splitFlushAt
	for i := range o.Levels {
		o.Levels[i].BlockSize = blockBytes
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
	}
	return o
}

// memTables divides the memory for what is not in tables on disk yet. To put a
// small record into a table in memory is to look for its place, and in a large one
// nearly every step of that misses the processor's caches: it was the largest
// part of what an append costs here. Many small tables hold as much as few large
// ones.
func memTables(bytes int64) (each int64, tables int) {
	each = max(min(bytes, memTableSearched), memTablesMax*bytes/memTablesMost)
	return each, int(memTablesMax * bytes / each)
}

// backgroundError ends the process: pebble would try again, and a failed fsync
// that is tried again may report success for data that is gone. A table that is
// found damaged by a compaction can be tried again: the copy takes writes, and is
// not to be read any more. It is called with pebble's lock held.
func (e *Engine) backgroundError(err error) {
	select {
	case <-e.closing:
		e.cfg.Log.Warn("copy had an error while closing", "err", err)
		return
	default:
	}
	if errors.Is(err, errNoRoom) {
		e.cfg.Log.Warn("table not written", "err", err.Error()) // without pebble's stack
		return
	}
	err = named("flush or compact the copy", e.cfg.Dir, err)
	if errors.Is(err, ErrCorrupt) {
		e.cfg.Metrics.corruption(storeCopy)
		e.cfg.Damaged(err)
		return
	}
	e.cfg.Fatal(err)
}

// pebbleLog passes pebble's own messages on.
type pebbleLog struct{ e *Engine }

func (l pebbleLog) Infof(format string, args ...any) {
	if log := l.e.cfg.Log; log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug("pebble", "message", fmt.Sprintf(format, args...))
	}
}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.e.cfg.Log.Warn("pebble", "message", fmt.Sprintf(format, args...))
}

func (l pebbleLog) Fatalf(format string, args ...any) {
	l.e.cfg.Fatal(fmt.Errorf("copy %s: "+format, append([]any{l.e.cfg.Dir}, args...)...))
}
