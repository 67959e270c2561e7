package embed

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/cluster"
	"mainstem/storage"
	"mainstem/wiring"
)

// memoryDir is the directory of a node that keeps everything in memory.
const memoryDir = storage.Dir("memory")

// disk is what a node keeps.
type disk struct {
	engine *storage.Engine
	stores cluster.Stores
	behind bool // the copy has less than the newest snapshot
	ends   []io.Closer
}

func openDisk(cfg Config) (d *disk, err error) {
	d = &disk{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	dir, fs := storage.Dir(cfg.Dir), vfs.Default
	if cfg.Dir == "" {
		dir, fs = memoryDir, vfs.NewMem()
	} else {
		lock, err := storage.LockDir(dir)
		if err != nil {
			return d, err
		}
		d.ends = append(d.ends, lock)
	}
	identity := wiring.IdentityFile{FS: storage.StrictFS(fs, cfg.Fatal), Dir: dir}
	if err := storage.ClaimIdentity(identity.FS, dir, nodeID); err != nil {
		return d, err
	}
	if err := storage.CheckUndamaged(fs, dir); err != nil {
		return d, err
	}
	metrics := storage.NewMetrics(cfg.Metrics)
	d.engine, err = storage.Open(storage.Config{Dir: dir.Copy(), FS: fs, CacheBytes: cacheBytes, MemTableBytes: memTableBytes, Log: cfg.Log, Metrics: metrics, Fatal: cfg.Fatal})
	if err != nil {
		return d, err
	}
	d.ends = append(d.ends, d.engine)
	snapshots, err := storage.OpenSnapshots(storage.SnapshotsConfig{Dir: dir.Snapshots(), FS: fs, Log: cfg.Log, Metrics: metrics, Fatal: cfg.Fatal})
	if err != nil {
		return d, err
	}
	list, err := snapshots.List()
	if err != nil {
		return d, fmt.Errorf("list snapshots: %w", err)
	}
	d.behind = len(list) > 0 && list[0].Index > d.engine.Globals().Applied
	d.stores = cluster.Stores{Snapshots: snapshots, Identity: identity}
	if cfg.Dir == "" {
		store := raft.NewInmemStore()
		d.stores.Log, d.stores.Stable = store, store
		return d, nil
	}
	log, err := storage.OpenLog(storage.LogConfig{Dir: dir.Log(), Log: cfg.Log, Metrics: metrics, Fatal: cfg.Fatal})
	if err != nil {
		return d, err
	}
	d.ends = append(d.ends, log)
	stable, err := storage.OpenStable(storage.StableConfig{Path: dir.Stable(), Log: cfg.Log, Metrics: metrics, Fatal: cfg.Fatal})
	if err != nil {
		return d, err
	}
	d.ends = append(d.ends, stable)
	d.stores.Log, d.stores.Stable = log, stable
	return d, nil
}

func (d *disk) close() error {
	var errs []error
	for len(d.ends) > 0 {
		last := len(d.ends) - 1
		errs = append(errs, d.ends[last].Close())
		d.ends = d.ends[:last]
	}
	return errors.Join(errs...)
}
