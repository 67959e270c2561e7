package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// Verify reads every table of the copy from its file, past all caches, and checks
// each block's checksum. Damage is an error that wraps ErrCorrupt.
func (e *Engine) Verify(ctx context.Context, pace Pace) error {
	err := e.verify(ctx, pace)
	if errors.Is(err, ErrCorrupt) {
		e.cfg.Metrics.corruption(storeCopy)
	}
	return err
}

func (e *Engine) verify(ctx context.Context, pace Pace) error {
	if _, err := loadPointer(e.cfg.FS, e.cfg.Dir); err != nil {
		return err
	}
	dir, tables, err := e.tables()
	if err != nil {
		return err
	}
	for _, table := range tables {
		err := verifyTable(ctx, e.cfg.FS, e.cfg.FS.PathJoin(dir, table), pace)
		if !oserror.IsNotExist(err) {
			if err != nil {
				return err
			}
			continue
		}
		// A compaction removes tables, and Replace the whole directory.
		now, live, err := e.tables()
		if err != nil {
			return err
		}
		if now != dir {
			return nil
		}
		if slices.Contains(live, table) {
			return corrupt(e.cfg.FS.PathJoin(dir, table), "the table is missing")
		}
	}
	return nil
}

// tables lists the tables that the copy consists of now. Others in its directory
// are being written or removed.
func (e *Engine) tables() (dir string, names []string, err error) {
	c, err := e.acquire()
	if err != nil {
		return "", nil, err
	}
	defer c.release()
	levels, err := c.db.SSTables()
	if err != nil {
		return "", nil, named("list tables", c.dir, err)
	}
	for _, level := range levels {
		for _, table := range level {
			names = append(names, table.BackingSSTNum.String()+tableSuffix)
		}
	}
	return c.dir, names, nil
}

// Verify reads every table of the newest snapshot and checks each block's
// checksum, of those too that are hard links to the copy's own.
func (s *Snapshots) Verify(ctx context.Context, pace Pace) error {
	err := s.verifyNewest(ctx, pace)
	if errors.Is(err, ErrCorrupt) {
		s.cfg.Metrics.corruption(storeSnapshots)
	}
	return err
}

func (s *Snapshots) verifyNewest(ctx context.Context, pace Pace) error {
	list, err := s.List()
	if err != nil || len(list) == 0 {
		return err
	}
	id := list[0].ID
	_, reader, err := s.Open(id) // it stays while it is read
	if err != nil {
		return nil // a newer one has just taken its place
	}
	defer reader.Close()
	fs := s.cfg.FS
	var meta raft.SnapshotMeta
	if err := readSealed(fs, fs.PathJoin(s.cfg.Dir, id, snapshotMetaFile), &meta); err != nil {
		return lost(fs.PathJoin(s.cfg.Dir, id, snapshotMetaFile), err)
	}
	dir := s.copyDir(id)
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("list snapshot %s: %w", id, err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, tableSuffix) {
			continue
		}
		path := fs.PathJoin(dir, name)
		if err := verifyTable(ctx, fs, path, pace); err != nil {
			return lost(path, err)
		}
	}
	return nil
}

// lost makes damage of the absence of a file that must be there.
func lost(path string, err error) error {
	if oserror.IsNotExist(err) {
		return corrupt(path, "it is missing")
	}
	return err
}

// Verify reads every record of the log that is there at the call and checks its
// checksum.
func (l *Log) Verify(ctx context.Context, pace Pace) error {
	last, err := l.LastIndex()
	if err != nil {
		return fmt.Errorf("verify the raft log: %w", err)
	}
	first, err := l.FirstIndex()
	if err != nil {
		return fmt.Errorf("verify the raft log: %w", err)
	}
	var entry raft.Log
	for index := max(first, 1); index <= last; index++ {
		err := l.GetLog(index, &entry)
		switch {
		case err == raft.ErrLogNotFound: // cut off, at one end or the other
			if first, err = l.FirstIndex(); err != nil || first <= index {
				return err
			}
			index = first - 1
			continue
		case err != nil:
			return err
		}
		if err := pace(ctx, recordLen(&entry)); err != nil {
			return err
		}
	}
	return nil
}

// verifyTable reads a table and checks the checksum of each block. An absent file
// is an error that oserror.IsNotExist knows.
func verifyTable(ctx context.Context, fs vfs.FS, path string, pace Pace) error {
	f, err := fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return fmt.Errorf("verify %s: %w", path, err)
	}
	inner, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(fmt.Errorf("verify %s: %w", path, err), f.Close())
	}
	paced := &pacedTable{Readable: inner, pace: func(n int) error { return pace(ctx, n) }}
	err = verifyBlocks(ctx, paced)
	closed := paced.Close()
	switch {
	case paced.stopped != nil:
		return paced.stopped
	case errors.Is(err, syscall.EIO):
		return corrupt(path, "the disk cannot read it: %v", err)
	case err != nil:
		return corrupt(path, "%v", err)
	}
	return closed
}

func verifyBlocks(ctx context.Context, table objstorage.Readable) error {
	r, err := sstable.NewReader(ctx, table, sstable.ReaderOptions{})
	if err != nil {
		return err
	}
	return r.ValidateBlockChecksums()
}

// pacedTable is a table that is read no faster than its pace, for one
// verification.
type pacedTable struct {
	objstorage.Readable
	pace    func(bytes int) error
	stopped error // what pace returned
}

func (t *pacedTable) ReadAt(ctx context.Context, p []byte, off int64) error {
	if t.stopped = t.pace(len(p)); t.stopped != nil {
		return t.stopped
	}
	return t.Readable.ReadAt(ctx, p, off)
}

func (t *pacedTable) NewReadHandle(objstorage.ReadBeforeSize) objstorage.ReadHandle {
	h := objstorage.MakeNoopReadHandle(t)
	return &h
}
