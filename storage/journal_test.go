package storage

import (
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestPowerCutInAQuarantineLosesNothing cuts the power before each change. The
// directory is then as it was, or refuses to be used until the change has been
// completed; every file is in one of the two places.
func TestPowerCutInAQuarantineLosesNothing(t *testing.T) {
	points := newCrashPoints()
	dir, fs := Dir("data"), points.fs()
	old, next := Identity{NodeID: "n1", ClusterID: "c", DirectoryID: "old"}, Identity{NodeID: "n1", ClusterID: "c.1-x", DirectoryID: "new"}
	if err := SaveIdentity(fs, dir, old); err != nil {
		t.Fatal(err)
	}
	held := map[string]string{"log": "1.wal", "copy": "current.json", "snapshots": "1-2-3"}
	for name, file := range held {
		if err := makeDir(fs, fs.PathJoin(string(dir), name)); err != nil {
			t.Fatal(err)
		}
		if err := writeFile(fs, fs.PathJoin(string(dir), name, file), []byte("of "+name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir.Stable(), dir.marker()} {
		if err := writeFile(fs, path, []byte("of "+path)); err != nil {
			t.Fatal(err)
		}
	}
	j := Journal{Identity: next, Quarantine: "quarantine-1"}
	points.watch(func() {
		if err := errors.Join(Begin(fs, dir, j), Quarantine(fs, dir, j), Finish(fs, dir, j)); err != nil {
			t.Fatal(err)
		}
	})
	outcomes := map[string]int{}
	points.each(t, func(t *testing.T, disk *vfs.MemFS) {
		id, _, err := LoadIdentity(disk, dir)
		switch {
		case err == nil && id == old:
			outcomes["old"]++
			wantParts(t, disk, string(dir), held)
			return
		case errors.Is(err, ErrUnfinished):
			outcomes["unfinished"]++
			begun, err := Begun(disk, dir)
			if err != nil || begun == nil {
				t.Fatalf("got %v, %v", begun, err)
			}
			if err := errors.Join(Quarantine(disk, dir, *begun), Finish(disk, dir, *begun)); err != nil {
				t.Fatal(err)
			}
		case err == nil && id == next:
			outcomes["new"]++
		default:
			t.Fatalf("got %+v, %v", id, err)
		}
		wantParts(t, disk, disk.PathJoin(string(dir), j.Quarantine), held)
		names, err := disk.List(string(dir))
		if err != nil || strings.Contains(strings.Join(names, " "), "log") {
			t.Fatalf("the directory holds %q, %v", names, err)
		}
		if id, known, err := LoadIdentity(disk, dir); id != next || !known || err != nil {
			t.Fatalf("got %+v, %v, %v", id, known, err)
		}
	})
	if outcomes["old"] == 0 || outcomes["unfinished"] == 0 {
		t.Fatalf("got outcomes %v", outcomes)
	}
	t.Log(outcomes)
}

func wantParts(t *testing.T, fs vfs.FS, dir string, held map[string]string) {
	t.Helper()
	for name, file := range held {
		if b, err := readFile(fs, fs.PathJoin(dir, name, file), 100); err != nil || string(b) != "of "+name {
			t.Fatalf("%s of %s: got %q, %v", file, name, b, err)
		}
	}
	for _, name := range []string{"stable.db", "DAMAGED"} {
		if b, err := readFile(fs, fs.PathJoin(dir, name), 100); err != nil || !strings.HasPrefix(string(b), "of ") {
			t.Fatalf("%s: got %q, %v", name, b, err)
		}
	}
}

func TestADirectoryInUseIsNotLookedAt(t *testing.T) {
	dir := Dir(t.TempDir())
	if free, err := LockDirToRead(dir); err != nil || free.Close() != nil {
		t.Fatalf("a directory without a lock file: %v", err)
	}
	lock, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockDirToRead(dir); err == nil || !strings.Contains(err.Error(), "is in use by another mainstem") {
		t.Fatalf("got %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	one, err := LockDirToRead(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	two, err := LockDirToRead(dir) // two may look
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	if _, err := LockDir(dir); err == nil {
		t.Fatal("a node started while its directory is looked at")
	}
}
