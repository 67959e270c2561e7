package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/stream"
)

func (i *inspector) copy() error {
	dir := i.dir.Copy()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	name, err := loadPointer(vfs.Default, dir)
	if err != nil || name == "" {
		return err
	}
	i.found.Copy, err = i.tables(PartCopy, filepath.Join(dir, name))
	return err
}

// snapshots checks all snapshots, as a start does, and the tables of the newest.
func (i *inspector) snapshots() error {
	dir := i.dir.Snapshots()
	names, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var newest *snapshot
	for _, name := range names {
		if _, ok := parseSnapshotID(name.Name()); !ok {
			continue
		}
		snap, err := i.snapshot(name.Name())
		if err != nil {
			return err
		}
		if snap != nil && (newest == nil || newestFirst(snap, newest) < 0) {
			newest = snap
		}
	}
	if newest == nil {
		return nil
	}
	i.found.Snapshot = &newest.meta
	g, err := i.tables(PartSnapshots, filepath.Join(dir, newest.meta.ID, snapshotCopyDir))
	i.checkpointed = g.Applied
	if err == nil && g.Applied < newest.meta.Index {
		return corrupt(filepath.Join(dir, newest.meta.ID), "it holds entries up to %d and says %d", g.Applied, newest.meta.Index)
	}
	return err
}

// snapshot is nil for one that was never finished.
func (i *inspector) snapshot(id string) (*snapshot, error) {
	path := filepath.Join(i.dir.Snapshots(), id, snapshotMetaFile)
	var meta raft.SnapshotMeta
	err := readSealed(vfs.Default, path, &meta)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	_, size, err := listArchive(vfs.Default, filepath.Join(i.dir.Snapshots(), id, snapshotCopyDir))
	if err != nil {
		return nil, corrupt(path, "%v", err)
	}
	if meta.ID != id || meta.Size != size {
		return nil, corrupt(path, "it says id %q and %d bytes, and %d bytes are there", meta.ID, meta.Size, size)
	}
	return &snapshot{meta: meta}, nil
}

// tables opens a pebble store to read and checks every block of its tables.
func (i *inspector) tables(part, dir string) (g Globals, err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return g, corrupt(dir, "it is missing")
	}
	e := &Engine{cfg: Config{Dir: dir, FS: readOnlyFS{vfs.Default}}.withDefaults(), closing: make(chan struct{})}
	close(e.closing) // there is no work in the background to be fatal about
	e.waits.closing = e.closing
	e.cache = pebble.NewCache(e.cfg.CacheBytes)
	defer e.cache.Unref()
	opts := e.options()
	opts.ReadOnly, opts.ErrorIfNotExists = true, true
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return g, openError(dir, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if g, err = loadGlobals(db); err != nil {
		return g, named("read globals", dir, err)
	}
	levels, err := db.SSTables()
	if err != nil {
		return g, named("list tables", dir, err)
	}
	var total, done int64
	for _, level := range levels {
		for _, table := range level {
			total += int64(table.Size)
		}
	}
	pace := func(_ context.Context, n int) error {
		done += int64(n)
		i.read(part, int64(n), done, total)
		return nil
	}
	for _, level := range levels {
		for _, table := range level {
			path := filepath.Join(dir, table.BackingSSTNum.String()+tableSuffix)
			if err := verifyTable(context.Background(), vfs.Default, path, pace); err != nil {
				return g, lost(path, err)
			}
		}
	}
	return g, named("check streams", dir, checkStreams(db, dir, g))
}

// checkStreams compares the streams with their records, and all of them with what
// the copy counts. A record that is missing at the end of a stream shows here only:
// where its tail is is told by the record.
func checkStreams(db *pebble.DB, dir string, g Globals) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixStream}, UpperBound: []byte{prefixStream + 1}})
	if err != nil {
		return err
	}
	total := uint64(0)
	err = eachState(it, func(name stream.Name, s *stream.State, short bool) (more bool, err error) {
		if short {
			return false, corrupt(dir, "the last records of stream %q, which ends at %d, are missing", name, s.Pos)
		}
		total += s.Stored()
		return true, nil
	})
	if err = errors.Join(err, it.Error(), it.Close()); err != nil {
		return err
	}
	if total != g.Stored {
		return corrupt(dir, "its streams hold %d bytes and it counts %d: records are missing at the end of some stream", total, g.Stored)
	}
	return nil
}
