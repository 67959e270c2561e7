package storage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// unpaced reads as fast as it can.
func unpaced(context.Context, int) error { return nil }

// flipped writes a file with one bit flipped, through the inode that others may
// have open.
func flipped(t testing.TB, fs vfs.FS, path string, at int) (restore func()) {
	t.Helper()
	original, err := readFile(fs, path, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(original)
	damaged[at] ^= 0x10
	put := func(data []byte) {
		f, err := fs.OpenReadWrite(path, category)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(slices.Clone(data), 0); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	put(damaged)
	return func() { put(original) }
}

// A block that lies decoded in memory hides the file beneath from readers; from
// Verify nothing is hidden.
func TestVerifyFindsFlipsThatNobodyReads(t *testing.T) {
	fs := vfs.NewMem()
	e := openTest(t, fs)
	history(t, e, 1, 60)
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Checksum(t.Context()); err != nil { // all blocks are cached now
		t.Fatal(err)
	}
	if err := e.Verify(t.Context(), unpaced); err != nil {
		t.Fatal(err)
	}
	_, tables, err := e.tables()
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	tried, missed := 0, 0
	for _, path := range pathsWith(files(t, fs, "data/copy"), tableSuffix) {
		if !slices.Contains(tables, fs.PathBase(path)) {
			continue
		}
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < int(info.Size()); at += 1 + int(info.Size())/100 {
			restore := flipped(t, fs, path, at)
			tried++
			err := e.Verify(t.Context(), unpaced)
			restore()
			if err == nil {
				missed++ // of bytes that mean nothing, in the footer
			} else if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), fs.PathBase(path)) {
				t.Fatalf("byte %d of %s: got %v", at, path, err)
			}
		}
	}
	if tried < 90 || missed > 3 {
		t.Fatalf("missed %d flips of %d", missed, tried)
	}
}

func TestVerifyMindsItsPace(t *testing.T) {
	fs := vfs.NewMem()
	e := openTest(t, fs)
	history(t, e, 1, 60)
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	read := 0
	if err := e.Verify(t.Context(), func(_ context.Context, n int) error { read += n; return nil }); err != nil {
		t.Fatal(err)
	}
	var onDisk int64
	for _, path := range pathsWith(files(t, fs, "data/copy"), tableSuffix) {
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		onDisk += info.Size()
	}
	if int64(read) < onDisk*9/10 {
		t.Fatalf("%d bytes of %d were paced", read, onDisk)
	}
	enough := errors.New("enough")
	if err := e.Verify(t.Context(), func(context.Context, int) error { return enough }); !errors.Is(err, enough) || errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
}

func TestVerifyFindsATableThatIsGone(t *testing.T) {
	fs := vfs.NewMem()
	e := openTest(t, fs)
	history(t, e, 1, 60)
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	dir, tables, err := e.tables()
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.Remove(fs.PathJoin(dir, tables[0])); err != nil {
		t.Fatal(err)
	}
	if err := e.Verify(t.Context(), unpaced); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), tables[0]) {
		t.Fatalf("got %v", err)
	}
}

// The file may be gone because a compaction was done with it.
func TestVerifyForgivesACompaction(t *testing.T) {
	fs := vfs.NewMem()
	e := openTest(t, fs)
	history(t, e, 1, 60)
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	compacted := false
	err := e.Verify(t.Context(), func(context.Context, int) error {
		if compacted {
			return nil
		}
		compacted = true
		history(t, e, 61, 120)
		if err := e.Flush(); err != nil {
			return err
		}
		c := e.current.Load()
		return c.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false)
	})
	if err != nil || !compacted {
		t.Fatalf("got %v, %v", err, compacted)
	}
}

func TestVerifyFindsFlipsInSnapshots(t *testing.T) {
	fs := vfs.NewMem()
	e := openTest(t, fs)
	history(t, e, 1, 60)
	s, err := OpenSnapshots(SnapshotsConfig{Dir: "data/snapshots", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), unpaced); err != nil {
		t.Fatalf("of none: %v", err)
	}
	sink, err := s.Create(raft.SnapshotVersionMax, 60, 9, raft.Configuration{}, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.(*SnapshotSink).Adopt(e.Checkpoint); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(t.Context(), unpaced); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{tableSuffix, snapshotMetaFile} {
		path := pathsWith(files(t, fs, "data/snapshots"), part)[0]
		restore := flipped(t, fs, path, 40)
		if err := s.Verify(t.Context(), unpaced); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), fs.PathBase(path)) {
			t.Fatalf("%s: got %v", path, err)
		}
		restore()
	}
}

func TestVerifyFindsFlipsInTheRaftLog(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg LogConfig) {
		var told []error
		cfg.Damaged = func(err error) { told = append(told, err) }
		l := openTestLog(t, cfg)
		store(t, l, 1, 200, 10)
		if err := l.DeleteRange(1, 50); err != nil {
			t.Fatal(err)
		}
		if err := l.Verify(t.Context(), unpaced); err != nil {
			t.Fatal(err)
		}
		cut := false
		err := l.Verify(t.Context(), func(context.Context, int) error {
			if cut {
				return nil
			}
			cut = true // while it is read
			return errors.Join(l.DeleteRange(51, 100), l.DeleteRange(190, 200))
		})
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Kind == LogBoltDB {
			return // its pages are mapped into memory
		}
		found := 0
		paths, err := filepath.Glob(filepath.Join(cfg.Dir, "*.wal"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("segments %v, %v", paths, err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			at := strings.Index(string(data), "entry 150")
			if at < 0 {
				continue
			}
			restore := flipped(t, vfs.Default, path, at)
			if err := l.Verify(t.Context(), unpaced); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "entry 150") {
				t.Fatalf("got %v", err)
			}
			restore()
			found++
		}
		if len(told) != found {
			t.Fatalf("told of %d, found %d", len(told), found)
		}
		if found == 0 {
			t.Fatal("entry 150 was not found in any segment")
		}
	})
}

func TestDamageIsRemembered(t *testing.T) {
	fs, dir := vfs.NewMem(), Dir("data")
	if err := makeDir(fs, string(dir)); err != nil {
		t.Fatal(err)
	}
	if err := CheckUndamaged(fs, dir); err != nil {
		t.Fatal(err)
	}
	want := Damage{What: "it differs", Index: 7, Range: "a to b"}
	if err := SaveDamage(fs, dir, want); err != nil {
		t.Fatal(err)
	}
	got, found, err := LoadDamage(fs, dir)
	if err != nil || !found || got != want {
		t.Fatalf("got %+v, %v, %v", got, found, err)
	}
	if err := CheckUndamaged(fs, dir); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "it differs") {
		t.Fatalf("got %v", err)
	}
	if err := writeFile(fs, dir.marker(), nil); err != nil { // half written by another program
		t.Fatal(err)
	}
	if err := CheckUndamaged(fs, dir); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("an empty file counts: got %v", err)
	}
}
