package storage

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func TestSealedFileDetectsEveryFlipAndTruncation(t *testing.T) {
	data, err := encodeSealed(formatVersion, Identity{NodeID: "n1", ClusterID: "c", DirectoryID: "d"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		for bit := range 8 {
			damaged := bytes.Clone(data)
			damaged[i] ^= 1 << bit
			if _, err := decodeSealed("f", damaged, formatVersion, new(Identity)); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("flip of bit %d of byte %d: got %v", bit, i, err)
			}
		}
		if _, err := decodeSealed("f", data[:i], formatVersion, new(Identity)); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at %d: got %v", i, err)
		}
	}
}

func TestSealedFileOfNewerFormatIsRefused(t *testing.T) {
	line := []byte(`{"format":2,"body":{}}` + "\n")
	data, err := sealLine(line), error(nil)
	if _, err = decodeSealed("node.json", data, formatVersion, new(Identity)); !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), "node.json has format 2") {
		t.Fatalf("got %v", err)
	}
}

func TestSealedFileIsOldOrNewAfterCrash(t *testing.T) {
	points := newCrashPoints()
	fs := points.fs()
	if err := makeDir(fs, "a/b"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"0", "1", "2", "3", "4", "5"} {
		if err := writeSealed(fs, "a/b/node.json", Identity{NodeID: id}); err != nil {
			t.Fatal(err)
		}
		points.set(true)
	}
	seen := make(map[string]bool)
	points.each(t, func(t *testing.T, disk *vfs.MemFS) {
		var id Identity
		if err := readSealed(disk, "a/b/node.json", &id); err != nil {
			t.Fatal(err)
		}
		seen[id.NodeID] = true
	})
	if len(seen) < 5 || seen["5"] && len(seen) == 1 {
		t.Fatalf("got %v", seen)
	}
}

// Each new file and directory is followed by a sync of the directory that it is
// in: without that a power cut loses the name.
func TestNewFilesAreFollowedByDirectorySync(t *testing.T) {
	dirty := make(map[string]bool) // directories with entries that are not synced
	mem := vfs.NewMem()
	fs := hooked(mem, func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpRename, errorfs.OpLink, errorfs.OpMkdirAll:
			dirty[mem.PathDir(op.Path)] = true
		case errorfs.OpFileSync:
			delete(dirty, op.Path)
		}
		return nil
	})
	for name, step := range map[string]func() error{
		"makeDir":   func() error { return makeDir(fs, "x/y/z") },
		"writeFile": func() error { return writeFile(fs, "x/y/z/f", []byte("data")) },
	} {
		if err := makeDir(fs, "x/y/z"); err != nil {
			t.Fatal(err)
		}
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if len(dirty) != 0 {
			t.Fatalf("%s leaves %v without a sync", name, dirty)
		}
	}
}

func TestAbsentSealedFileIsNotCorrupt(t *testing.T) {
	err := readSealed(vfs.NewMem(), "x", new(Identity))
	if !oserror.IsNotExist(err) || errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
}
