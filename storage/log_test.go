package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"mainstem/test/harness"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"
	"github.com/prometheus/client_golang/prometheus"
)

func openTestLog(t *testing.T, cfg LogConfig) *Log {
	t.Helper()
	l, err := OpenLog(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func entryAt(index uint64) *raft.Log {
	return &raft.Log{
		Index: index, Term: 1 + index/10, Type: raft.LogCommand,
		Data: fmt.Appendf(nil, "entry %d %s", index, strings.Repeat("x", int(index%50))),
	}
}

// store appends the entries from first to last, batch by batch.
func store(t *testing.T, l *Log, first, last uint64, batch int) {
	t.Helper()
	for at := first; at <= last; {
		var entries []*raft.Log
		for ; len(entries) < batch && at <= last; at++ {
			entries = append(entries, entryAt(at))
		}
		if err := l.StoreLogs(entries); err != nil {
			t.Fatal(err)
		}
	}
}

func wantEntries(t *testing.T, l *Log, first, last uint64) {
	t.Helper()
	gotFirst, err := l.FirstIndex()
	if err != nil {
		t.Fatal(err)
	}
	gotLast, err := l.LastIndex()
	if err != nil {
		t.Fatal(err)
	}
	if gotFirst != first || gotLast != last {
		t.Fatalf("got entries %d to %d, want %d to %d", gotFirst, gotLast, first, last)
	}
	for i := first; i <= last && i > 0; i++ {
		wantEntry(t, l, i)
	}
	for _, i := range []uint64{first - 1, last + 1} {
		if err := l.GetLog(i, new(raft.Log)); i > 0 && err != raft.ErrLogNotFound {
			t.Fatalf("entry %d outside of the log: got %v", i, err)
		}
	}
}

func wantEntry(t *testing.T, l *Log, index uint64) {
	t.Helper()
	var got raft.Log
	if err := l.GetLog(index, &got); err != nil {
		t.Fatal(err)
	}
	want := entryAt(index)
	if got.Index != want.Index || got.Term != want.Term || !bytes.Equal(got.Data, want.Data) {
		t.Fatalf("got %+v, want %+v", got, *want)
	}
}

func eachKind(t *testing.T, fn func(t *testing.T, cfg LogConfig)) {
	for _, kind := range []string{LogWAL, LogBoltDB} {
		t.Run(kind, func(t *testing.T) {
			fn(t, LogConfig{Dir: filepath.Join(t.TempDir(), "log"), Kind: kind, SegmentBytes: 4096})
		})
	}
}

func TestLogKeepsEntriesOverReopen(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg LogConfig) {
		l := openTestLog(t, cfg)
		wantEntries(t, l, 0, 0)
		store(t, l, 5, 300, 7) // over several segments
		wantEntries(t, l, 5, 300)
		if err := l.DeleteRange(5, 99); err != nil {
			t.Fatal(err)
		}
		wantEntries(t, l, 100, 300)
		for range 3 {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openTestLog(t, cfg)
			wantEntries(t, l, 100, 300)
		}
		store(t, l, 301, 310, 3)
		wantEntries(t, l, 100, 310)
	})
}

// raft cuts off a suffix that conflicts with the leader's log. raft-wal leaves a
// segment without an index then, which it cannot read after a restart.
func TestLogIsReadableAfterCutAndReopen(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg LogConfig) {
		l := openTestLog(t, cfg)
		store(t, l, 1, 20, 4)
		for round := range 3 {
			last := uint64(18 - 5*round)
			if err := l.DeleteRange(last+1, last+100); err == nil {
				wantEntries(t, l, 1, last)
			} else {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openTestLog(t, cfg)
			wantEntries(t, l, 1, last)
			store(t, l, last+1, last+2, 1)
			wantEntries(t, l, 1, last+2)
		}
	})
}

func TestLogMayBeEmptiedAndBeginElsewhere(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg LogConfig) {
		l := openTestLog(t, cfg)
		store(t, l, 1, 50, 4)
		if err := l.DeleteRange(1, 50); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = openTestLog(t, cfg)
		wantEntries(t, l, 0, 0)
		store(t, l, 1000, 1100, 4)
		wantEntries(t, l, 1000, 1100)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		wantEntries(t, openTestLog(t, cfg), 1000, 1100)
	})
}

// A crash between the write that seals a segment and the rotation leaves a tail
// that raft-wal cannot write to.
func TestLogGoesOnAfterCrashInRotation(t *testing.T) {
	cfg := LogConfig{Dir: filepath.Join(t.TempDir(), "log"), SegmentBytes: 4096}
	l := openTestLog(t, cfg)
	store(t, l, 1, 1, 1)
	before, err := os.ReadFile(filepath.Join(cfg.Dir, logMetaFile))
	if err != nil {
		t.Fatal(err)
	}
	path, last := onlySegment(t, cfg.Dir), uint64(1)
	for !sealedOnDisk(t, path) {
		last++
		store(t, l, last, last, 1)
	}
	if err := l.inner.Close(); err != nil {
		t.Fatal(err)
	}
	// The crash: the meta file does not know of the rotation.
	if err := os.WriteFile(filepath.Join(cfg.Dir, logMetaFile), before, 0o644); err != nil {
		t.Fatal(err)
	}
	l = openTestLog(t, cfg)
	wantEntries(t, l, 1, last)
	store(t, l, last+1, last+50, 1)
	wantEntries(t, l, 1, last+50)
}

func sealedOnDisk(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scan, _, err := scanFile(f)
	if err != nil {
		t.Fatal(err)
	}
	return scan.indexStart != 0
}

func TestLogOfAnotherKindIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := openTestLog(t, LogConfig{Dir: dir, Kind: LogBoltDB}).Close(); err != nil {
		t.Fatal(err)
	}
	_, err := OpenLog(LogConfig{Dir: dir, Kind: LogWAL})
	if err == nil || !strings.Contains(err.Error(), "set raft.log_store to boltdb") {
		t.Fatalf("got %v", err)
	}
}

func TestLogConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]LogConfig{
		"no directory": {},
		"unknown kind": {Dir: "x", Kind: "paper"},
		"segment size": {Dir: "x", SegmentBytes: -1},
	} {
		if _, err := OpenLog(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestLogRefusesEntryAboveLimitAndGoesOn(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg LogConfig) {
		l := openTestLog(t, cfg)
		if err := l.StoreLog(&raft.Log{Index: 1, Data: make([]byte, recordBytesMax)}); err == nil {
			t.Fatal("accepted")
		}
		store(t, l, 1, 2, 1)
		wantEntries(t, l, 1, 2)
	})
}

// verdict is what a damaged log says of itself: an error at open, an error on
// read, or the entries from first to last, all right.
func verdict(cfg LogConfig, last uint64) (read uint64, err error) {
	l, err := OpenLog(cfg)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	end, err := l.LastIndex()
	if err != nil {
		return 0, err
	}
	for i := uint64(1); i <= end; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil {
			return 0, err
		}
		if want := entryAt(i); got.Term != want.Term || !bytes.Equal(got.Data, want.Data) {
			return 0, fmt.Errorf("entry %d reads as %+v without an error", i, got)
		}
	}
	if end > last {
		return 0, fmt.Errorf("the log reaches %d, beyond %d", end, last)
	}
	return end, nil
}

// Every flipped byte and every truncation of every file is detected, or does no
// harm, or lies in the last write, where a torn write looks the same.
func TestLogDetectsFlipsAndTruncations(t *testing.T) {
	const last, batch = 60, 4
	eachKind(t, func(t *testing.T, cfg LogConfig) {
		if harness.Race && cfg.Kind == LogBoltDB {
			t.Skip("the race build ends the process where bolt reads a damaged page")
		}
		l := openTestLog(t, cfg)
		store(t, l, 1, last, batch)
		if err := l.inner.Close(); err != nil { // not l: it would note the end
			t.Fatal(err)
		}
		crashed := crashCopy(t, cfg.Dir)
		undecided, detected := 0, 0
		eachDamage(t, crashed, func(what string) {
			cfg.Dir = crashed
			end, err := verdict(cfg, last)
			switch {
			case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNewerFormat):
				detected++
			case err != nil:
				t.Fatalf("%s: got %v", what, err)
			case end == last:
			case end == last-batch && cfg.Kind == LogWAL:
				undecided++
			default:
				t.Fatalf("%s: the log ends at %d without an error, want %d", what, end, last)
			}
		})
		t.Logf("detected %d, undecided in the last write %d", detected, undecided)
		if detected == 0 {
			t.Fatal("nothing was detected")
		}
	})
}

// After a clean shutdown the last write is known too.
func TestLogDetectsDamageInLastWriteAfterClose(t *testing.T) {
	cfg := LogConfig{Dir: filepath.Join(t.TempDir(), "log")}
	l := openTestLog(t, cfg)
	store(t, l, 1, 10, 2)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	path := onlySegment(t, cfg.Dir)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, entryAt(10).Data)
	if at < 0 {
		t.Fatal("entry 10 is not in the segment")
	}
	data[at] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLog(cfg); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
}

func onlySegment(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil || len(found) != 1 {
		t.Fatalf("got segments %v, %v", found, err)
	}
	return found[0]
}

// countingFiles counts fsyncs of segments and can refuse them.
type countingFiles struct {
	types.VFS
	syncs atomic.Int64
	fail  atomic.Bool
}

var errDisk = errors.New("input/output error")

func (c *countingFiles) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := c.VFS.Create(dir, name, size)
	return &countingFile{f, c}, err
}

func (c *countingFiles) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := c.VFS.OpenWriter(dir, name)
	if err != nil {
		return nil, err
	}
	return &countingFile{f, c}, nil
}

type countingFile struct {
	types.WritableFile
	c *countingFiles
}

func (f *countingFile) Sync() error {
	if f.c.fail.Load() {
		return errDisk
	}
	f.c.syncs.Add(1)
	return f.WritableFile.Sync()
}

func TestLogSyncsEachStore(t *testing.T) {
	files := &countingFiles{VFS: newSegmentFS()}
	registry := prometheus.NewRegistry()
	l := openTestLog(t, LogConfig{Dir: filepath.Join(t.TempDir(), "log"), files: files, Metrics: NewMetrics(registry)})
	for i := uint64(1); i <= 10; i++ {
		store(t, l, i, i, 1)
		if got := files.syncs.Load(); got != int64(i) {
			t.Fatalf("after %d writes: got %d fsyncs", i, got)
		}
	}
	if got := observations(t, registry, "mainstem_fsync_seconds"); got != 10 {
		t.Fatalf("got %d observations of fsync, want 10", got)
	}
}

func TestLogTakesNothingAfterFailedFsync(t *testing.T) {
	files := &countingFiles{VFS: newSegmentFS()}
	var fatal []error
	l := openTestLog(t, LogConfig{
		Dir: filepath.Join(t.TempDir(), "log"), files: files,
		Fatal: func(err error) { fatal = append(fatal, err) },
	})
	store(t, l, 1, 3, 1)
	files.fail.Store(true)
	if err := l.StoreLog(entryAt(4)); !errors.Is(err, errDisk) {
		t.Fatalf("got %v", err)
	}
	files.fail.Store(false)
	for range 2 {
		if err := l.StoreLog(entryAt(4)); !errors.Is(err, errDisk) {
			t.Fatalf("the disk works again: got %v", err)
		}
	}
	if err := l.DeleteRange(1, 2); !errors.Is(err, errDisk) {
		t.Fatalf("got %v", err)
	}
	if len(fatal) != 1 || !errors.Is(fatal[0], errDisk) {
		t.Fatalf("got fatal errors %v", fatal)
	}
	if last, err := l.LastIndex(); err != nil || last != 3 {
		t.Fatalf("got last index %d, %v", last, err)
	}
}

// observations sums the counts of a histogram over its labels.
func observations(t *testing.T, registry *prometheus.Registry, name string) (n uint64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			n += m.GetHistogram().GetSampleCount()
		}
	}
	return n
}
