package sim

import (
	"errors"
	"io"
	mrand "math/rand/v2"
	"path/filepath"
	"runtime"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/cluster"
	"mainstem/scrub"
	"mainstem/storage"
	"mainstem/wiring"
)

const (
	// copyBytes bounds what a node's copy holds in memory.
	copyBytes = 1 << 20
	// segmentBytes makes the raft log change its file often. raft-wal goes on to
	// serve what was deleted from the file that it writes.
	segmentBytes = 16 << 10
)

// disk is what survives a node. The raft log and the stable store are real
// files, which are synced before anybody is told; the copy, its snapshots and
// the identity lie in a file system in memory that forgets, at a power cut, what
// was not synced.
//
// With Options.OnDisk all of it is real files, in the layout of the product.
type disk struct {
	files storage.Dir // of the operating system
	dir   storage.Dir // of the parts that may be in memory
	mem   *vfs.MemFS  // nil: the operating system's
}

// root is the data directory in memory.
const root = storage.Dir("data")

func newDisk(dir, id string) *disk {
	return &disk{files: storage.Dir(filepath.Join(dir, id)), dir: root, mem: vfs.NewCrashableMem()}
}

func newRealDisk(dir, id string) *disk {
	files := storage.Dir(filepath.Join(dir, id))
	return &disk{files: files, dir: files}
}

// fs is what holds the copy, its snapshots and the identity.
func (d *disk) fs() vfs.FS {
	if d.mem == nil {
		return vfs.Default
	}
	return d.mem
}

// powerCut drops some or all of what was not synced, but nothing of real files.
// Nobody may use the disk.
func (d *disk) powerCut(rng *mrand.Rand) {
	if d.mem == nil {
		return
	}
	d.mem = d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[rng.IntN(3)], RNG: rng})
}

// opened is a disk in use.
type opened struct {
	engine *storage.Engine
	stores cluster.Stores
	behind bool // the copy has less than the newest snapshot
	health *scrub.Quarantine
	checks []scrub.Store
	ends   []io.Closer
}

// open opens the disk. fatal is told when the raft log or the stable store cannot
// go on; the goroutine that found out ends, as its process would.
func (d *disk) open(nodeID string, fatal func(error)) (o *opened, err error) {
	die := func(err error) {
		fatal(err)
		runtime.Goexit()
	}
	o = &opened{}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	identity := wiring.IdentityFile{FS: d.fs(), Dir: d.dir}
	if err := storage.ClaimIdentity(d.fs(), d.dir, nodeID); err != nil {
		return o, err
	}
	if err := storage.CheckUndamaged(d.fs(), d.dir); err != nil {
		return o, err
	}
	o.health = scrub.NewQuarantine(scrub.QuarantineConfig{Save: func(found storage.Damage) error { return storage.SaveDamage(d.fs(), d.dir, found) }})
	o.engine, err = storage.Open(storage.Config{Dir: d.dir.Copy(), FS: d.fs(), CacheBytes: copyBytes, MemTableBytes: copyBytes, Damaged: o.health.Found})
	if err != nil {
		return o, err
	}
	o.ends = append(o.ends, o.engine)
	log, err := storage.OpenLog(storage.LogConfig{Dir: d.files.Log(), SegmentBytes: segmentBytes, Fatal: die})
	if err != nil {
		return o, err
	}
	o.ends = append(o.ends, log)
	stable, err := storage.OpenStable(storage.StableConfig{Path: d.files.Stable(), Fatal: die})
	if err != nil {
		return o, err
	}
	o.ends = append(o.ends, stable)
	snapshots, err := storage.OpenSnapshots(storage.SnapshotsConfig{Dir: d.dir.Snapshots(), FS: d.fs()})
	if err != nil {
		return o, err
	}
	list, err := snapshots.List()
	if err != nil {
		return o, err
	}
	o.behind = len(list) > 0 && list[0].Index > o.engine.Globals().Applied
	o.checks = []scrub.Store{{Name: "copy", Verify: o.engine.Verify}, {Name: "raft log", Verify: log.Verify}, {Name: "snapshots", Verify: snapshots.Verify}}
	o.stores = cluster.Stores{Log: log, Stable: stable, Snapshots: snapshots, Identity: identity}
	return o, nil
}

func (o *opened) close() error {
	var errs []error
	for len(o.ends) > 0 {
		last := len(o.ends) - 1
		errs = append(errs, o.ends[last].Close())
		o.ends = o.ends[:last]
	}
	return errors.Join(errs...)
}
