package storage

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// raiseSealed makes a small file what a newer version would have written.
func raiseSealed(t *testing.T, fs vfs.FS, path string) {
	t.Helper()
	setSealed(t, fs, path, formatVersion, formatVersion+1)
}

// setSealed changes the format that a small file says it has.
func setSealed(t *testing.T, fs vfs.FS, path string, from, to int) {
	t.Helper()
	data, err := readFile(fs, path, sealedBytesMax)
	if err != nil {
		t.Fatal(err)
	}
	line := data[:bytes.IndexByte(data, '\n')+1]
	newer := bytes.Replace(line, fmt.Appendf(nil, `"format":%d`, from), fmt.Appendf(nil, `"format":%d`, to), 1)
	if bytes.Equal(newer, line) {
		t.Fatalf("%s says nothing of its format: %s", path, line)
	}
	if err := writeFile(fs, path, sealLine(newer)); err != nil {
		t.Fatal(err)
	}
}

// withCopy makes a copy with something in it and returns the directory of its
// tables.
func withCopy(t *testing.T, fs vfs.FS) (dir string) {
	t.Helper()
	e := openTest(t, fs)
	commit(t, e, 7, func(b *Batch) { b.PutStream("a", []byte("state")) })
	dir = e.current.Load().dir
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Each file that a newer version has written is refused, and nothing of it changes:
// the sentence says which file, what it is, what is read here, and what to do.
func TestNewerFormatsOnDiskAreRefusedWithASentence(t *testing.T) {
	for name, tt := range map[string]struct {
		open func(t *testing.T) error
		says []string
	}{
		"identity": {func(t *testing.T) error {
			fs, dir := vfs.NewMem(), Dir("data")
			if err := SaveIdentity(fs, dir, Identity{NodeID: "n1", DirectoryID: "d"}); err != nil {
				t.Fatal(err)
			}
			raiseSealed(t, fs, dir.identity())
			_, _, err := LoadIdentity(fs, dir)
			return err
		}, []string{"node.json has format 2", "reads 1"}},
		"raft log": {func(t *testing.T) error {
			dir := t.TempDir()
			l := openTestLog(t, LogConfig{Dir: dir})
			store(t, l, 1, 3, 3)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			setSealed(t, vfs.Default, filepath.Join(dir, logMetaFile), recordVersionPlain, recordVersion+1)
			_, err := OpenLog(LogConfig{Dir: dir})
			return err
		}, []string{"log.json has format 3", "reads 2"}},
		"snapshot": {func(t *testing.T) error {
			fs := vfs.NewMem()
			e, s := openTest(t, fs), openTestSnapshots(t, fs, "data/snapshots")
			commit(t, e, 7, func(b *Batch) { b.PutStream("a", []byte("state")) })
			id := take(t, s, e)
			raiseSealed(t, fs, fs.PathJoin("data/snapshots", id, snapshotMetaFile))
			_, err := OpenSnapshots(SnapshotsConfig{Dir: "data/snapshots", FS: fs})
			return err
		}, []string{snapshotMetaFile + " has format 2", "reads 1"}},
		"pointer to the copy": {func(t *testing.T) error {
			fs := vfs.NewMem()
			withCopy(t, fs)
			raiseSealed(t, fs, fs.PathJoin("data/copy", pointerFile))
			_, err := Open(testConfig(fs))
			return err
		}, []string{pointerFile + " has format 2", "reads 1"}},
		"what is in the copy": {func(t *testing.T) error {
			fs := vfs.NewMem()
			e := openTest(t, fs)
			globals := globalsAt(7).appendTo(nil)
			globals[0] = globalsVersion + 1
			db := e.current.Load().db
			if err := errors.Join(db.Set([]byte{prefixGlobals}, globals, pebble.NoSync), db.Flush(), e.Close()); err != nil {
				t.Fatal(err)
			}
			_, err := Open(testConfig(fs))
			return err
		}, []string{"data/copy", "the copy has version 5", "reads 4"}},
		"tables of the copy": {func(t *testing.T) error {
			fs := vfs.NewMem()
			dir := withCopy(t, fs)
			names, err := fs.List(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if rest, ok := strings.CutPrefix(name, "marker.format-version."); ok {
					number, _, _ := strings.Cut(rest, ".")
					to := fs.PathJoin(dir, "marker.format-version."+number+".990")
					if err := fs.Rename(fs.PathJoin(dir, name), to); err != nil {
						t.Fatal(err)
					}
				}
			}
			_, err = Open(testConfig(fs))
			return err
		}, []string{"data/copy"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.open(t)
			if !errors.Is(err, ErrNewerFormat) || errors.Is(err, ErrCorrupt) {
				t.Fatalf("got %v, want %v", err, ErrNewerFormat)
			}
			for _, part := range append(tt.says, "start the version that wrote it, or upgrade this node") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %q, want %q in it", err, part)
				}
			}
		})
	}
}

// Another node sends it: the one to upgrade is this one.
func TestASnapshotOfANewerFormatIsRefusedOnTheWay(t *testing.T) {
	archive := sampleArchive(t)
	archive[len(archiveName)]++
	_, err := unpackSample(t, archive)
	if !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), "a snapshot has format 2 and this version reads 1") {
		t.Fatalf("got %v, want %v", err, ErrNewerFormat)
	}
}

// What lies on disk changes on purpose only: an older version could not read it.
func TestTheFormatsOfThisVersion(t *testing.T) {
	got := fmt.Sprintf("%d %d %d %d %x %q", formatVersion, recordVersion, globalsVersion, copyFormat, codecID, archiveMagic)
	want := `1 2 4 24 16d73 "msnap\x00\x00\x01"`
	if got != want {
		t.Errorf("the formats are %s, the golden ones %s; if that is wanted, say so in docs/upgrading.md", got, want)
	}
}
