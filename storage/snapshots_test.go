package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

var (
	_ raft.SnapshotStore     = (*Snapshots)(nil)
	_ raft.LogStore          = (*Log)(nil)
	_ raft.MonotonicLogStore = (*Log)(nil)
	_ raft.StableStore       = (*Stable)(nil)
)

func openTestSnapshots(t testing.TB, fs vfs.FS, dir string) *Snapshots {
	t.Helper()
	s, err := OpenSnapshots(SnapshotsConfig{Dir: dir, FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var testConfiguration = raft.Configuration{Servers: []raft.Server{
	{Suffrage: raft.Voter, ID: "n1", Address: "host-1:4438"},
	{Suffrage: raft.Nonvoter, ID: "n2", Address: "host-2:4438"},
}}

func createSink(t testing.TB, s *Snapshots, index uint64) *SnapshotSink {
	t.Helper()
	sink, err := s.Create(1, index, 3, testConfiguration, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sink.(*SnapshotSink)
}

// take makes a snapshot of e and returns its id.
func take(t testing.TB, s *Snapshots, e *Engine) string {
	t.Helper()
	sink := createSink(t, s, e.Globals().Applied)
	if err := sink.Adopt(e.Checkpoint); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	return sink.ID()
}

func openReader(t testing.TB, s *Snapshots, id string) (*raft.SnapshotMeta, *SnapshotReader) {
	t.Helper()
	meta, r, err := s.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	return meta, r.(*SnapshotReader)
}

func listed(t testing.TB, s *Snapshots) (ids []string) {
	t.Helper()
	for _, meta := range must1[[]*raft.SnapshotMeta](t)(s.List()) {
		ids = append(ids, meta.ID)
	}
	return ids
}

// The whole way: a copy, its snapshot, the archive, another node's snapshot, its
// copy, and a restart of it.
func TestSnapshotTravelsFromNodeToNode(t *testing.T) {
	fs := vfs.NewMem()
	source := openTest(t, fs)
	history(t, source, 1, 80)
	here := openTestSnapshots(t, fs, "data/snapshots")
	id := take(t, here, source)
	history(t, source, 81, 90) // the snapshot does not see these

	there := openTestSnapshots(t, fs, "other/snapshots")
	meta, r := openReader(t, here, id)
	if meta.Index != 80 || meta.Term != 3 || meta.ConfigurationIndex != 2 || !reflect.DeepEqual(meta.Configuration, testConfiguration) {
		t.Fatalf("got %+v", meta)
	}
	sink := createSink(t, there, meta.Index)
	n, err := io.Copy(sink, iotest.HalfReader(r))
	if err != nil || n != meta.Size {
		t.Fatalf("got %d bytes, %v, want %d", n, err, meta.Size)
	}
	if got := listed(t, there); got != nil {
		t.Fatalf("listed before it was closed: %v", got)
	}
	if err := errors.Join(r.Close(), sink.Close(), sink.Close()); err != nil {
		t.Fatal(err)
	}

	got, received := openReader(t, there, sink.ID())
	if got.Size != meta.Size || got.Index != 80 {
		t.Fatalf("got %+v", got)
	}
	cfg := testConfig(fs)
	cfg.Dir = "other/copy"
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	history(t, e, 1, 3)
	if err := errors.Join(e.Replace(received.Checkpoint()), received.Close()); err != nil {
		t.Fatal(err)
	}
	if applied := wantHistory(t, e); applied != 80 {
		t.Fatalf("got entries to %d, want 80", applied)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	again := openTestSnapshots(t, fs, "other/snapshots")
	if ids := listed(t, again); !reflect.DeepEqual(ids, []string{sink.ID()}) {
		t.Fatalf("got %v after a restart", ids)
	}
	if e, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if applied := wantHistory(t, e); applied != 80 {
		t.Fatalf("got entries to %d after a restart, want 80", applied)
	}
}

func TestReaderKeepsItsCheckpoint(t *testing.T) {
	fs := vfs.NewMem()
	e := openTest(t, fs)
	s := openTestSnapshots(t, fs, "data/snapshots")
	history(t, e, 1, 10)
	first := take(t, s, e)
	meta, r := openReader(t, s, first)
	_, second := openReader(t, s, first)
	history(t, e, 11, 20)
	newest := take(t, s, e)
	if got := listed(t, s); !reflect.DeepEqual(got, []string{newest, first}) {
		t.Fatalf("got %v, want the newest first", got)
	}
	if n, err := io.Copy(io.Discard, r); err != nil || n != meta.Size {
		t.Fatalf("got %d bytes, %v, want %d", n, err, meta.Size)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, s); len(got) != 2 {
		t.Fatalf("removed while it was read: %v", got)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, s); !reflect.DeepEqual(got, []string{newest}) {
		t.Fatalf("got %v, want %v", got, newest)
	}
	if got := pathsWith(files(t, fs, "data/snapshots"), first); got != nil {
		t.Fatalf("left: %v", got)
	}
	if _, _, err := s.Open(first); err == nil {
		t.Fatal("opened a snapshot that is gone")
	}
}

func TestCancelledSnapshotLeavesNothing(t *testing.T) {
	fs := vfs.NewMem()
	e := openTest(t, fs)
	history(t, e, 1, 10)
	s := openTestSnapshots(t, fs, "data/snapshots")
	for name, begin := range map[string]func(*SnapshotSink) error{
		"empty":   func(*SnapshotSink) error { return nil },
		"adopted": func(k *SnapshotSink) error { return k.Adopt(e.Checkpoint) },
		"written": func(k *SnapshotSink) error { _, err := k.Write([]byte(archiveMagic)); return err },
	} {
		sink := createSink(t, s, 10)
		if err := begin(sink); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := errors.Join(sink.Cancel(), sink.Cancel(), sink.Close()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := sink.Write([]byte("x")); err == nil {
			t.Fatalf("%s: written to after Cancel", name)
		}
	}
	if got := files(t, fs, "data/snapshots"); got != nil {
		t.Fatalf("left: %v", got)
	}
	sink := createSink(t, s, 10)
	if err := sink.Close(); err == nil {
		t.Fatal("a snapshot without content was published")
	}
	if got := listed(t, s); got != nil {
		t.Fatalf("got %v", got)
	}
}

// A crash at any point leaves the snapshots that were complete, each whole.
func TestSnapshotCrashLeavesCompleteOnes(t *testing.T) {
	points := newCrashPoints()
	fs := points.fs()
	e := openTest(t, fs)
	history(t, e, 1, 40)
	s := openTestSnapshots(t, fs, "data/snapshots")
	first := take(t, s, e)
	archive := readArchive(t, s, first)
	history(t, e, 41, 50)
	var second, third string
	points.watch(func() {
		second = take(t, s, e)
		sink := createSink(t, s, 60) // as if it came from another node
		if _, err := sink.Write(archive); err != nil {
			t.Fatal(err)
		}
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
		third = sink.ID()
	})
	want := map[string]uint64{first: 40, second: 50, third: 40}
	seen := make(map[string]int)
	points.each(t, func(t *testing.T, disk *vfs.MemFS) {
		after := openTestSnapshots(t, disk, "data/snapshots")
		ids := listed(t, after)
		if len(ids) != 1 {
			t.Fatalf("got %v, want one", ids)
		}
		seen[ids[0]]++
		readArchive(t, after, ids[0])
		if got := files(t, disk, "data/snapshots"); len(got) != len(pathsWith(got, "/"+ids[0]+"/")) {
			t.Fatalf("strays were left beside %s: %v", ids[0], got)
		}
		_, r := openReader(t, after, ids[0])
		defer r.Close()
		cfg := testConfig(disk)
		cfg.Dir = "fresh/copy"
		e, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if err := e.Replace(r.Checkpoint()); err != nil {
			t.Fatal(err)
		}
		if got := wantHistory(t, e); got != want[ids[0]] {
			t.Fatalf("snapshot %s: got entries to %d, want %d", ids[0], got, want[ids[0]])
		}
	})
	if len(seen) != 3 {
		t.Fatalf("got %v, want three kinds", seen)
	}
	t.Logf("found %v", seen)
}

func readArchive(t testing.TB, s *Snapshots, id string) []byte {
	t.Helper()
	meta, r := openReader(t, s, id)
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	if int64(len(data)) != meta.Size {
		t.Fatalf("got %d bytes, want %d", len(data), meta.Size)
	}
	return data
}

func TestDamagedSnapshotIsAnErrorAtOpen(t *testing.T) {
	for name, damage := range map[string]func(fs vfs.FS, dir string) error{
		"meta file flipped": func(fs vfs.FS, dir string) error {
			path := fs.PathJoin(dir, snapshotMetaFile)
			data, err := readFile(fs, path, 1<<20)
			if err != nil {
				return err
			}
			data[len(data)/2] ^= 1
			return writeSynced(fs, path, data)
		},
		"table missing": func(fs vfs.FS, dir string) error {
			names, err := fs.List(fs.PathJoin(dir, snapshotCopyDir))
			if err != nil {
				return err
			}
			for _, name := range names {
				if strings.HasSuffix(name, tableSuffix) {
					return fs.Remove(fs.PathJoin(dir, snapshotCopyDir, name))
				}
			}
			return errors.New("no table")
		},
		"checkpoint missing": func(fs vfs.FS, dir string) error { return fs.RemoveAll(fs.PathJoin(dir, snapshotCopyDir)) },
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			e := openTest(t, fs)
			history(t, e, 1, 10)
			id := take(t, openTestSnapshots(t, fs, "data/snapshots"), e)
			if err := damage(fs, fs.PathJoin("data/snapshots", id)); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenSnapshots(SnapshotsConfig{Dir: "data/snapshots", FS: fs}); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func sampleArchive(t testing.TB) []byte {
	t.Helper()
	fs := vfs.NewMem()
	if err := makeDir(fs, "from"); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"b": "hello", "a.sst": strings.Repeat("xyz", 50), "empty": ""} {
		if err := writeSynced(fs, "from/"+name, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	list, size, err := listArchive(fs, "from")
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(iotest.OneByteReader(newArchiver(fs, "from", list)))
	if err != nil || int64(len(data)) != size {
		t.Fatalf("got %d bytes, %v, want %d", len(data), err, size)
	}
	return data
}

func unpackSample(t testing.TB, archive []byte) (vfs.FS, error) {
	t.Helper()
	fs := vfs.NewMem()
	if err := makeDir(fs, "to"); err != nil {
		t.Fatal(err)
	}
	return fs, unarchive(fs, "to", bytes.NewReader(archive))
}

func TestArchiveDetectsEveryFlipAndTruncation(t *testing.T) {
	archive := sampleArchive(t)
	if _, err := unpackSample(t, archive); err != nil {
		t.Fatal(err)
	}
	for i := range archive {
		damaged := bytes.Clone(archive)
		damaged[i] ^= 1 << (i % 8)
		if _, err := unpackSample(t, damaged); !errors.Is(err, errArchive) && !errors.Is(err, ErrNewerFormat) {
			t.Fatalf("flip of byte %d: got %v", i, err)
		}
		if _, err := unpackSample(t, archive[:i]); !errors.Is(err, errArchive) {
			t.Fatalf("cut at %d: got %v", i, err)
		}
	}
	if _, err := unpackSample(t, append(archive, 0)); !errors.Is(err, errArchive) {
		t.Fatalf("a byte too many: got %v", err)
	}
}

// An archive comes from the network: no name of it leads out of the directory.
func TestArchiveNamesStayInTheDirectory(t *testing.T) {
	for _, name := range []string{"..", ".", "../x", "a/b", "/etc/passwd", "a\\b", "a\x00b", "", strings.Repeat("x", 256)} {
		if goodArchiveName(name) {
			t.Errorf("%q is admitted", name)
		}
		part := appendArchiveHead(nil, archiveFile{name: name})
		archive := append([]byte(archiveMagic), part...)
		if _, err := unpackSample(t, archive); !errors.Is(err, errArchive) {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func TestDamagedArchiveIsNotPublished(t *testing.T) {
	fs := vfs.NewMem()
	s := openTestSnapshots(t, fs, "data/snapshots")
	archive := sampleArchive(t)
	archive[len(archive)-20] ^= 1
	for _, data := range [][]byte{archive, archive[:len(archive)/2]} {
		sink := createSink(t, s, 5)
		_, writeErr := sink.Write(data)
		if closeErr := sink.Close(); closeErr == nil {
			t.Fatalf("published; Write said %v", writeErr)
		}
	}
	if got := append(listed(t, s), files(t, fs, "data/snapshots")...); got != nil {
		t.Fatalf("got %v", got)
	}
}

// What unpacks was packed so: unpacking and packing again gives the same bytes.
func FuzzArchive(f *testing.F) {
	f.Add(sampleArchive(f))
	f.Add([]byte(archiveMagic))
	f.Fuzz(func(t *testing.T, archive []byte) {
		fs, err := unpackSample(t, archive)
		if err != nil {
			return
		}
		list, size, err := listArchive(fs, "to")
		if err != nil {
			t.Fatal(err)
		}
		again, err := io.ReadAll(newArchiver(fs, "to", list))
		if err != nil || size != int64(len(again)) || !bytes.Equal(again, archive) {
			t.Fatalf("got %x, %v, want %x", again, err, archive)
		}
	})
}

func TestSnapshotVersionIsChecked(t *testing.T) {
	s := openTestSnapshots(t, vfs.NewMem(), "data/snapshots")
	if _, err := s.Create(9, 1, 1, raft.Configuration{}, 0, nil); err == nil {
		t.Fatal("accepted")
	}
	for _, id := range []string{"1-2-3", "18446744073709551615-0-1"} {
		if _, ok := parseSnapshotID(id); !ok {
			t.Errorf("%s is refused", id)
		}
	}
	for _, id := range []string{"", "1-2", "1-2-x", "1-2-3-4", "-1-2", fmt.Sprint(1 << 40)} {
		if _, ok := parseSnapshotID(id); ok {
			t.Errorf("%s is taken for a snapshot", id)
		}
	}
}
