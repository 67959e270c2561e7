package main

import (
	"context"

	"golang.org/x/sync/errgroup"

	"mainstem/cluster"
	"mainstem/storage"
)

// openSpace looks at the disk before the stores are opened: on a full one they
// need the ballast.
func (n *node) openSpace(dir storage.Dir) (err error) {
	if n.cfg.Storage.InMemory() {
		return nil
	}
	ballast := n.cfg.Storage.BallastBytes
	if ballast == 0 {
		ballast = -1 // none, where 0 would be the default
	}
	n.space, err = storage.OpenSpace(storage.SpaceConfig{
		Dir: dir, Soft: n.cfg.Storage.Soft, Hard: n.cfg.Storage.Hard, BallastBytes: ballast,
		Owed: n.owed, Changed: func(storage.Room) { n.joined.DiskChanged() },
		Log: n.log, Metrics: storage.NewSpaceMetrics(n.metrics),
	})
	return err
}

// owed is what the stores will take from the disk without being given more: the
// tables in memory, and the next piece of the log.
func (n *node) owed() int64 {
	if n.engine == nil || n.raftLog == nil {
		return 0 // the first look comes before they are opened
	}
	return n.engine.UnflushedBytes() + n.raftLog.NextSegmentBytes()
}

// watchDisk keeps looking until the node is closed.
func (n *node) watchDisk() {
	if n.space == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watch errgroup.Group
	watch.Go(func() error { return n.space.Run(ctx) })
	n.opened.push("watch over the disk", func() error {
		cancel()
		return watch.Wait()
	})
}

// disk is the room here as the cluster wants to know it.
func (n *node) disk() cluster.Disk {
	r := n.space.Room()
	return cluster.Disk{Level: cluster.DiskLevel(r.Level.String()), FreeBytes: r.Free, TotalBytes: r.Total, BallastBytes: r.Ballast}
}

// diskToWatch is disk, or nil where there is none.
func (n *node) diskToWatch() func() cluster.Disk {
	if n.space == nil {
		return nil
	}
	return n.disk
}

// mayMerge is for the copy; nil without a disk.
func (n *node) mayMerge() func() bool {
	if n.space == nil {
		return nil
	}
	return n.space.MayMerge
}
