package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
)

const (
	fillDir        = "fill"
	fillTableBytes = 64 << 20
)

// Filler makes a copy out of exported pairs. They come in the order of their keys
// and become tables at once, with little memory and no compactions. A copy that
// was filled in part is gone on with: see Last.
type Filler struct {
	engine *Engine
	skip   uint64 // incarnations
	last   []byte // key that was added, or found in the copy

	path  string // of the table that is written
	table *sstable.Writer
	size  int
	added int // pairs in it
}

// OpenFiller opens the copy in cfg.Dir, or makes one. So many incarnations will be
// left out before the next is drawn: offsets that were given out after the export
// must not mean anything in the copy.
func OpenFiller(cfg Config, skipIncarnations uint64) (*Filler, error) {
	e, err := Open(cfg)
	if err != nil {
		return nil, err
	}
	f := &Filler{engine: e, skip: skipIncarnations}
	if err := f.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("fill copy %s: %w", cfg.Dir, err), e.Close())
	}
	return f, nil
}

func (f *Filler) begin() error {
	cfg := f.engine.cfg
	dir := cfg.FS.PathJoin(cfg.Dir, fillDir)
	if err := cfg.FS.RemoveAll(dir); err != nil { // of a filling that was interrupted
		return err
	}
	if err := makeDir(cfg.FS, dir); err != nil {
		return err
	}
	f.path = cfg.FS.PathJoin(dir, "table"+tableSuffix)
	c := f.engine.current.Load()
	it, err := c.db.NewIter(nil)
	if err != nil {
		return err
	}
	if it.Last() {
		f.last = bytes.Clone(it.Key())
	}
	return errors.Join(it.Error(), it.Close())
}

// Last is the last key that is in the copy for good, nil for none. What follows it
// is what Add wants next.
func (f *Filler) Last() []byte { return bytes.Clone(f.last) }

// Add takes the next pair. It keeps nothing of it.
func (f *Filler) Add(key, value []byte) error {
	if bytes.Compare(key, f.last) <= 0 {
		return fmt.Errorf("fill copy: key %x comes after %x", key, f.last)
	}
	if len(key) > 0 && key[0] == prefixGlobals {
		g, err := parseGlobals(value)
		if err != nil {
			return fmt.Errorf("fill copy: %w", err)
		}
		g.Incarnations += f.skip
		value = g.appendTo(nil)
	}
	if f.table == nil {
		if err := f.open(); err != nil {
			return fmt.Errorf("fill copy: %w", err)
		}
	}
	if err := f.table.Set(key, value); err != nil {
		return fmt.Errorf("fill copy: %w", err)
	}
	f.last = append(f.last[:0], key...)
	f.added++
	if f.size += len(key) + len(value); f.size >= fillTableBytes {
		return f.ingest()
	}
	return nil
}

func (f *Filler) open() error {
	file, err := f.engine.cfg.FS.Create(f.path, category)
	if err != nil {
		return err
	}
	o := f.engine.options()
	o.EnsureDefaults()
	bottom := len(o.Levels) - 1
	f.table = sstable.NewWriter(objstorageprovider.NewFileWritable(file), o.MakeWriterOptions(bottom, f.engine.current.Load().db.TableFormat()))
	f.size, f.added = 0, 0
	return nil
}

// ingest makes the table part of the copy, for good. Closing the writer syncs it.
func (f *Filler) ingest() error {
	if f.table == nil {
		return nil
	}
	table := f.table
	f.table = nil
	if err := table.Close(); err != nil {
		return fmt.Errorf("fill copy: finish a table: %w", err)
	}
	c := f.engine.current.Load()
	if err := c.db.Ingest(context.Background(), []string{f.path}); err != nil {
		return named("take a table in", c.dir, err)
	}
	return nil
}

// Finish completes the copy and returns what it says of itself. Close is still
// to be called.
func (f *Filler) Finish() (Globals, error) {
	if err := f.ingest(); err != nil {
		return Globals{}, err
	}
	c := f.engine.current.Load()
	g, err := loadGlobals(c.db)
	if err != nil {
		return Globals{}, named("read globals", c.dir, err)
	}
	if g.Applied == 0 {
		return Globals{}, fmt.Errorf("fill copy %s: what was added says nothing of a log", c.dir)
	}
	return g, nil
}

// Close closes the copy. What was not taken in yet is dropped, and added again by
// the next filling.
func (f *Filler) Close() error {
	var errs []error
	if f.table != nil {
		errs = append(errs, f.table.Close())
		f.table = nil
	}
	fs := f.engine.cfg.FS
	errs = append(errs, f.engine.Close(), fs.RemoveAll(fs.PathJoin(f.engine.cfg.Dir, fillDir)))
	return errors.Join(errs...)
}
