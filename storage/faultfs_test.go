package storage

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// hooked wraps fs so that before runs before each operation that changes it.
func hooked(fs vfs.FS, before func(errorfs.Op) error) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		return before(op)
	}))
}

// crashPoints takes a picture of what a power cut would leave before each change
// of the file system.
type crashPoints struct {
	mem  *vfs.MemFS
	mu   sync.Mutex
	on   bool
	rng  *rand.Rand
	disk []*vfs.MemFS
	what []string
}

func newCrashPoints() *crashPoints {
	return &crashPoints{mem: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(1, 2))}
}

func (c *crashPoints) fs() vfs.FS {
	return hooked(lockedLink{c.mem, &c.mu}, func(op errorfs.Op) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.on {
			return nil
		}
		for _, percent := range []int{0, 40, 100} {
			c.disk = append(c.disk, c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.rng}))
			c.what = append(c.what, op.Path+" "+describe(op.Kind)+" with "+string(rune('0'+percent/10))+"0% of what was not synced")
		}
		return nil
	})
}

// lockedLink keeps pictures from being taken in mid-link: MemFS takes its lock
// for reading twice there, and hangs when somebody waits to write in between.
type lockedLink struct {
	vfs.FS
	mu *sync.Mutex
}

func (l lockedLink) Link(from, to string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.FS.Link(from, to)
}

func describe(k errorfs.OpKind) string {
	switch k {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return "sync"
	case errorfs.OpRename:
		return "rename"
	case errorfs.OpCreate:
		return "create"
	case errorfs.OpLink:
		return "link"
	case errorfs.OpRemove, errorfs.OpRemoveAll:
		return "remove"
	}
	return "change"
}

// watch records crash points while fn runs.
func (c *crashPoints) watch(fn func()) {
	c.set(true)
	defer c.set(false)
	fn()
}

func (c *crashPoints) set(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = on
}

// each runs fn for each picture.
func (c *crashPoints) each(t *testing.T, fn func(t *testing.T, disk *vfs.MemFS)) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.disk) < 30 {
		t.Fatalf("got %d crash points only", len(c.disk))
	}
	t.Logf("%d crash points", len(c.disk))
	for i, disk := range c.disk {
		fn(t, disk)
		if t.Failed() {
			t.Fatalf("after a crash before: %s", c.what[i])
		}
	}
}

// files lists the paths below dir.
func files(t *testing.T, fs vfs.FS, dir string) (paths []string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			paths = append(paths, files(t, fs, path)...)
			continue
		}
		paths = append(paths, path)
	}
	return paths
}

func pathsWith(paths []string, part string) (found []string) {
	for _, p := range paths {
		if strings.Contains(p, part) {
			found = append(found, p)
		}
	}
	return found
}
