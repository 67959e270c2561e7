package storage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"

	"mainstem/stream"
)

// weighingFiles counts the bytes that go into segments.
type weighingFiles struct {
	countingFiles
	bytes atomic.Int64
	zeros atomic.Int64 // that prepare what is written later
}

type weighingFile struct {
	types.WritableFile
	owner *weighingFiles
}

func (w *weighingFiles) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := w.countingFiles.Create(dir, name, size)
	return weighingFile{f, w}, err
}

func (f weighingFile) WriteAt(p []byte, at int64) (int, error) {
	if len(bytes.TrimLeft(p, "\x00")) == 0 {
		f.owner.zeros.Add(int64(len(p)))
	} else {
		f.owner.bytes.Add(int64(len(p)))
	}
	return f.WritableFile.WriteAt(p, at)
}

// What the log costs does not depend on the machine, and must not creep up: one
// fsync for what is stored together, little beside the entries, and zeros once for
// what small writes will fill.
func TestLogCostsOneFsyncAndFewBytes(t *testing.T) {
	text := func(n int) []byte { // of words that come again, as in JSON
		return bytes.Repeat([]byte(fmt.Sprintf(`{"event":"page_view","session":"%x"},`, noise(16))), n/64+1)[:n]
	}
	for name, test := range map[string]struct {
		size, together int
		data           func(n int) []byte
		least, most    float64 // bytes written for each byte of an entry
	}{
		"small entries, alone": {256, 1, text, 1, 1.5},
		"small, eight at once": {256, 8, text, 1, 1.3},
		"batches, alone":       {10_000, 1, text, 1, 1.01},
		"large":                {1 << 20, 1, noise, 1, 1.001},
		"large, of text":       {1 << 20, 1, text, 0, 0.05},
		"just enough to pack":  {packLeast, 1, text, 0, 0.05},
	} {
		t.Run(name, func(t *testing.T) {
			files := &weighingFiles{countingFiles: countingFiles{VFS: newSegmentFS()}}
			l := openTestLog(t, LogConfig{Dir: filepath.Join(t.TempDir(), "log"), files: files})
			store(t, l, 1, 1, 1) // the first of a segment writes its header and the meta file
			files.bytes.Store(0)
			files.zeros.Store(0)
			before, index := files.syncs.Load(), uint64(1)
			const stores = 10
			for range stores {
				var entries []*raft.Log
				for range test.together {
					index++
					entries = append(entries, &raft.Log{Index: index, Term: 1, Data: test.data(test.size)})
				}
				if err := l.StoreLogs(entries); err != nil {
					t.Fatal(err)
				}
			}
			if got := files.syncs.Load() - before; got != stores {
				t.Errorf("%d fsyncs for %d stores", got, stores)
			}
			got := float64(files.bytes.Load()) / float64(stores*test.together*test.size)
			t.Logf("%.4f bytes written for each", got)
			if got < test.least || got > test.most {
				t.Errorf("%.4f bytes written for each byte of an entry, %v to %v are due", got, test.least, test.most)
			}
			zeros, most := files.zeros.Load(), files.bytes.Load()+readyAhead
			if test.size >= readyLeast && test.least == 1 {
				most = 0
			}
			if zeros > most {
				t.Errorf("%d zeros were written for %d bytes, at most %d are due", zeros, files.bytes.Load(), most)
			}
		})
	}
}

// noise is what cannot be packed, and the same each time.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// weighingFS counts the bytes that go into files.
type weighingFS struct {
	vfs.FS
	bytes, syncs atomic.Int64
}

type weighedFile struct {
	vfs.File
	fs *weighingFS
}

func (w *weighingFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.Create(name, c)
	if err != nil {
		return nil, err
	}
	return weighedFile{f, w}, nil
}

func (f weighedFile) Write(p []byte) (int, error) {
	f.fs.bytes.Add(int64(len(p)))
	return f.File.Write(p)
}

func (f weighedFile) Sync() error {
	f.fs.syncs.Add(1)
	return f.File.Sync()
}

// The copy syncs nothing on the way of an append, and a flush writes each byte
// once.
func TestCopyCostsNoFsyncAndFewBytes(t *testing.T) {
	fs := &weighingFS{FS: vfs.NewMem()}
	cfg := testConfig(fs)
	cfg.MemTableBytes = memTableSearched
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	random := rand.NewChaCha8([32]byte{}) // does not compress
	value := make([]byte, 256)
	fs.bytes.Store(0)
	fs.syncs.Store(0)
	b := e.NewBatch()
	appended := 0
	for n := uint64(1); n <= 500; n++ {
		for s := range uint64(32) {
			random.Read(value)
			b.PutRecord(s, n*256, value)
			appended += len(value)
		}
		if err := e.Commit(b, Globals{Applied: n, Now: stream.Time(n)}); err != nil {
			t.Fatal(err)
		}
		b.Reset()
	}
	if fs.bytes.Load() != 0 || fs.syncs.Load() != 0 {
		t.Fatalf("commits wrote %d bytes and synced %d times", fs.bytes.Load(), fs.syncs.Load())
	}
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	got := float64(fs.bytes.Load()) / float64(appended)
	t.Logf("%.3f bytes written for each", got)
	if got < 1 || got > 1.15 {
		t.Fatalf("a flush wrote %.3f bytes for each that was appended", got)
	}
}

// A flush makes tables of neighbouring streams, so that a compaction of some leaves the
// others alone.
func TestTheTablesOfAFlushAreNarrow(t *testing.T) {
	cfg := testConfig(vfs.NewMem())
	cfg.MemTableBytes = 4 * memTableSearched
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const streams, flushes = 8, 6
	value, seen := noise(64<<10), map[string]bool{}
	b, applied, wide := e.NewBatch(), uint64(0), 0
	for flush := range flushes {
		for n := range uint64(16) {
			applied++
			for s := range uint64(streams) {
				b.PutRecord(s, applied<<16, value)
			}
			if err := e.Commit(b, Globals{Applied: applied, Now: stream.Time(n)}); err != nil {
				t.Fatal(err)
			}
			b.Reset()
		}
		if err := e.Flush(); err != nil {
			t.Fatal(err)
		}
		levels, err := e.current.Load().db.SSTables()
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range levels[0] {
			name, last := table.BackingSSTNum.String(), byte(streams-1)
			if k := table.Largest.UserKey; k[0] == prefixData {
				last = k[8]
			}
			if k := table.Smallest.UserKey; !seen[name] && flush > 0 && k[0] == prefixData && last-k[8] >= streams/2 {
				wide++
			}
			seen[name] = true
		}
	}
	if wide > 1 {
		t.Fatalf("of %d tables of %d flushes %d span half of the streams, want the first flush's at most", len(seen), flushes, wide)
	}
}

// However much memory there is, it is held in tables of a size that is searched
// quickly.
func TestMemoryForWritesIsHeldInSmallTables(t *testing.T) {
	for name, test := range map[string]struct {
		bytes, each int64
		tables      int
	}{
		"the default": {32 << 20, 8 << 20, 16},
		"little":      {1 << 20, 1 << 20, 4},
		"much":        {1 << 30, 64 << 20, 64}, // so that reads do not look into hundreds
	} {
		t.Run(name, func(t *testing.T) {
			if each, tables := memTables(test.bytes); each != test.each || tables != test.tables {
				t.Fatalf("got %d tables of %d bytes, want %d of %d", tables, each, test.tables, test.each)
			}
		})
	}
}
