package main

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/cluster"
	"mainstem/scrub"
	"mainstem/settings"
	"mainstem/storage"
	"mainstem/wiring"
)

// memoryDir is the data directory of a file system in memory.
const memoryDir = storage.Dir("memory")

// tellMode says what somebody who comes from the Rust server might take for
// something else.
func (n *node) tellMode() {
	switch n.cfg.Storage.Mode {
	case settings.ModeFileFast:
		n.log.Info("storage.mode file-fast is not weaker here than file-durable: an append is answered when a quorum has it on disk")
	case settings.ModeMemory:
		n.log.Warn("storage.mode is memory: every stream is gone when this process ends")
	}
}

// openRaftStores opens what raft keeps: on disk, or in memory. checks are those of
// it that can be verified.
func (n *node) openRaftStores(dir storage.Dir, identity wiring.IdentityFile, metrics *storage.Metrics) (checks []scrub.Store, err error) {
	snapshots, err := storage.OpenSnapshots(storage.SnapshotsConfig{Dir: dir.Snapshots(), FS: n.fs, Log: n.log, Metrics: metrics, Fatal: n.die})
	if err != nil {
		return nil, err
	}
	checks = []scrub.Store{{Name: "snapshots", Verify: snapshots.Verify}}
	if n.cfg.Storage.InMemory() {
		store := raft.NewInmemStore()
		n.stores = cluster.Stores{Log: store, Stable: store, Snapshots: snapshots, Identity: identity}
		return checks, nil
	}
	n.raftLog, err = storage.OpenLog(storage.LogConfig{Dir: dir.Log(), Kind: n.cfg.Raft.LogStore, SegmentBytes: int(n.cfg.Raft.SegmentBytes), Log: n.log, Metrics: metrics, Fatal: n.die, Damaged: n.health.Found})
	if err != nil {
		return nil, err
	}
	n.opened.push("raft log", n.raftLog.Close)
	stable, err := storage.OpenStable(storage.StableConfig{Path: dir.Stable(), Log: n.log, Metrics: metrics, Fatal: n.die})
	if err != nil {
		return nil, err
	}
	n.opened.push("stable store", stable.Close)
	n.stores = cluster.Stores{Log: n.raftLog, Stable: stable, Snapshots: snapshots, Identity: identity}
	return append(checks, scrub.Store{Name: "raft log", Verify: n.raftLog.Verify}), nil
}

// takeDataDir gets hold of the place for this node's data.
func (n *node) takeDataDir() (storage.Dir, error) {
	if n.cfg.Storage.InMemory() {
		n.fs = vfs.NewMem()
		return memoryDir, nil
	}
	n.fs = vfs.Default
	dir, err := n.chooseDataDir()
	if err != nil {
		return "", fmt.Errorf("make a temporary directory: %w", err)
	}
	lock, err := storage.LockDir(dir)
	if err != nil {
		return "", fmt.Errorf("--data-dir %s: %w", dir, err)
	}
	n.opened.push("data directory", lock.Close)
	return dir, nil
}
