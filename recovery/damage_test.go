package recovery_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/cluster"
	"mainstem/recovery"
	"mainstem/storage"
	"mainstem/test/sim"
)

// kinds are the files of a data directory, by a pattern of their paths. late
// ones hold so much that a start does not read all of it: the node ends when it
// comes to the damage.
var kinds = map[string]struct {
	pattern string
	late    bool
}{
	"a table of the copy":         {"copy/copy-*/*.sst", true},
	"the manifest of the copy":    {"copy/copy-*/MANIFEST-*", false},
	"the pointer to the manifest": {"copy/copy-*/marker.manifest.*", false},
	"the pointer to the copy":     {"copy/current.json", false},
	"the oldest log segment":      {"log/*.wal", true},
	"the record of log segments":  {"log/log.json", false},
	"the stable store":            {"stable.db", false},
	"the node's identity":         {"node.json", false},
	"the record of a snapshot":    {"snapshots/*/meta.json", false},
}

// harms change a file that has some content.
var harms = map[string]func(path string, data []byte) error{
	"flipped early":  func(path string, data []byte) error { return flip(path, data, 1, 4) },
	"flipped midway": func(path string, data []byte) error { return flip(path, data, 1, 2) },
	"flipped late":   func(path string, data []byte) error { return flip(path, data, 7, 8) },
	"cut":            func(path string, data []byte) error { return os.Truncate(path, int64(written(data)/2)) },
	"emptied":        func(path string, data []byte) error { return os.Truncate(path, 0) },
	"removed":        func(path string, data []byte) error { return os.Remove(path) },
}

// written is how much of a file is not the zeros that it was made with.
func written(data []byte) int { return len(bytes.TrimRight(data, "\x00")) }

func flip(path string, data []byte, num, of int) error {
	if written(data) == 0 {
		return nil
	}
	damaged := bytes.Clone(data)
	damaged[written(data)*num/of] ^= 0x10
	return os.WriteFile(path, damaged, 0o644)
}

// TestADamagedNodeIsFoundOutAndRefilled damages each kind of file in each way on
// one of three nodes.
func TestADamagedNodeIsFoundOutAndRefilled(t *testing.T) {
	for kind, k := range kinds {
		for harm, do := range harms {
			t.Run(kind+" "+harm, func(t *testing.T) {
				dir, err := os.MkdirTemp("/dev/shm", "mainstem-damage-")
				if err != nil {
					dir = t.TempDir()
				}
				defer os.RemoveAll(dir)
				synctest.Test(t, func(t *testing.T) {
					c := sim.New(t, sim.Options{Dir: dir, OnDisk: true, Cluster: func(cfg *cluster.Config) {
						cfg.SnapshotThreshold, cfg.SnapshotInterval, cfg.TrailingLogs = 16, time.Second, 8
					}})
					wants := fill(t, c)
					data := c.DataDir("n2")
					id, _, err := storage.LoadIdentity(vfs.Default, data)
					if err != nil {
						t.Fatal(err)
					}
					c.Crash("n2")
					path := oldest(t, string(data), k.pattern)
					content, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					if err := do(path, content); err != nil {
						t.Fatal(err)
					}
					if !foundOut(t, c, path, k.late) {
						return
					}
					if _, err := refill(data, recovery.Named{NodeID: id.NodeID, ClusterID: id.ClusterID}, recovery.Options{}); err != nil {
						t.Fatal(err)
					}
					wants["meanwhile"] = write(t, c, "meanwhile", 1)
					returned(t, c, wants)
				})
			})
		}
	}
}

// fill writes until each node has a snapshot, more than one log segment and
// tables.
func fill(t *testing.T, c *sim.Cluster) (wants map[string]string) {
	t.Helper()
	wants = map[string]string{}
	long := strings.Repeat("x", 2000)
	for i := range 2 {
		name := fmt.Sprintf("s%d", i)
		want := write(t, c, name, 4)
		for range 12 {
			ask(t, c.Running()[0], "POST", name, long, 204)
			want += long
		}
		wants[name] = want
		time.Sleep(5 * time.Second) // for a snapshot
	}
	level(t, c)
	return wants
}

// foundOut reports whether there is damage. Where none is found the node must
// start and hold what the others hold.
func foundOut(t *testing.T, c *sim.Cluster, path string, late bool) bool {
	t.Helper()
	before := content(t, c.DataDir("n2"))
	f, err := recovery.Look(c.DataDir("n2"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if after := content(t, c.DataDir("n2")); after != before {
		t.Fatalf("to look has changed the directory: %s", after)
	}
	if len(f.Damage) == 0 {
		if _, err := c.TryStart("n2"); err != nil {
			t.Fatalf("damage was not found by looking, and the start says %v", err)
		}
		c.WaitReady()
		level(t, c)
		t.Logf("harmless: %s", path)
		return false
	}
	named := strings.Contains(f.Damage[0].What, filepath.Base(path)) || strings.Contains(f.Damage[0].What, filepath.Dir(path))
	if !named && !strings.Contains(f.Damage[0].What, "snapshots") {
		t.Fatalf("the damage of %s was found and not named: %+v", path, f.Damage)
	}
	if late {
		return true // it may start, and end when it comes to read that
	}
	_, err = c.TryStart("n2")
	switch {
	case err == nil:
		t.Fatalf("it started with damage: %+v", f.Damage)
	case !errors.Is(err, storage.ErrCorrupt) && !strings.Contains(err.Error(), "mainstem recover refill"):
		t.Fatalf("the refusal to start does not say that data is damaged: %v", err)
	}
	return true
}

// returned starts the node that was refilled, and compares.
func returned(t *testing.T, c *sim.Cluster, wants map[string]string) {
	t.Helper()
	n := c.Start("n2")
	learner := false
	back := c.Eventually(func() bool {
		for _, m := range c.Node("n1").Cluster.Status(t.Context()).Members {
			if m.NodeID == "n2" && m.Voter {
				return learner
			}
		}
		learner = true
		return false
	})
	if !back {
		t.Fatal("it did not come back as a learner and then a voter")
	}
	c.WaitReady()
	level(t, c)
	for name, want := range wants {
		holds(t, n, name, want)
	}
}

func oldest(t *testing.T, dir, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no %s in %s: %v", pattern, dir, err)
	}
	return paths[0]
}

// content lists all files of a directory with a time of change.
func content(t *testing.T, dir storage.Dir) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(string(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		fmt.Fprintln(&list, path, info.Size(), info.ModTime().UnixNano())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}
