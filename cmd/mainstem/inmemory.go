package main

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/cluster"
	"mainstem/scrub"
	"mainstem/storage"
	"mainstem/wiring"
)

// What storage.mode may be. The first three are one here.
const (
	modeFileDurable = "file-durable"
	modeACID        = "acid"
	modeFileFast    = "file-fast"
	modeMemory      = "memory"
)

// What a node that keeps nothing holds of its log at most, beside the streams: a
// single node has nobody to send it to, and it takes memory.
const (
	memorySnapshotBytes = 32 << 20
	memoryTrailingBytes = 1 << 20
	memoryTrailingLogs  = 64
)

// memoryDir is the data directory of a file system in memory.
const memoryDir = storage.Dir("memory")

func (c *storageConfig) inMemory() bool { return c.mode == modeMemory }

// memoryRules are broken by a cluster one of whose nodes forgets everything: it
// would acknowledge, come back empty and vote.
func (c *config) memoryRules() (problems []error) {
	if !c.storage.inMemory() {
		return nil
	}
	if len(c.cluster.join) > 0 {
		problems = append(problems, fmt.Errorf("storage.mode (--storage-mode): memory is for one node alone, and cluster.join (--join) names others; take one of the two out"))
	}
	if c.cluster.bootstrapExpect > 1 {
		problems = append(problems, fmt.Errorf("storage.mode (--storage-mode): memory is for one node alone, and cluster.bootstrap_expect (--bootstrap-expect) is %d; take one of the two out", c.cluster.bootstrapExpect))
	}
	return problems
}

// alone makes a node one that nobody finds and that looks for nobody.
func (c clusterConfig) alone() clusterConfig {
	return clusterConfig{nodeID: c.nodeID, peerAddr: "127.0.0.1:0", bootstrapExpect: 1, submitTimeout: c.submitTimeout, adminToken: c.adminToken}
}

// forgetful is a config for a node that keeps nothing.
func (c config) forgetful() config {
	c.cluster = c.cluster.alone()
	c.raft.snapshotBytes = min(c.raft.snapshotBytes, memorySnapshotBytes)
	c.raft.trailingBytes = min(c.raft.trailingBytes, memoryTrailingBytes)
	c.raft.trailingLogs = min(c.raft.trailingLogs, memoryTrailingLogs)
	return c
}

// tellMode says what somebody who comes from the Rust server might take for
// something else.
func (n *node) tellMode() {
	switch n.cfg.storage.mode {
	case modeFileFast:
		n.log.Info("storage.mode file-fast is not weaker here than file-durable: an append is answered when a quorum has it on disk")
	case modeMemory:
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
	if n.cfg.storage.inMemory() {
		store := raft.NewInmemStore()
		n.stores = cluster.Stores{Log: store, Stable: store, Snapshots: snapshots, Identity: identity}
		return checks, nil
	}
	n.raftLog, err = storage.OpenLog(storage.LogConfig{Dir: dir.Log(), Kind: n.cfg.raft.logStore, SegmentBytes: int(n.cfg.raft.segmentBytes), Log: n.log, Metrics: metrics, Fatal: n.die, Damaged: n.health.Found})
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
	if n.cfg.storage.inMemory() {
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
