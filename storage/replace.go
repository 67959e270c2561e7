package storage

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Replace makes the checkpoint in dir the current copy. dir is left as it is:
// its tables are linked, the rest is copied. Readers in flight finish on the old
// copy, which is removed after the last of them. A crash at any point leaves the
// old copy or the new one.
func (e *Engine) Replace(dir string) error {
	old := e.current.Load()
	if old == nil {
		return ErrClosed
	}
	n, _ := parseCopyName(old.name)
	name := copyName(n + 1)
	if err := e.adopt(dir, name); err != nil {
		return fmt.Errorf("replace copy by %s: %w", dir, err)
	}
	c, err := e.openCopy(name, mustExist)
	if err != nil {
		return fmt.Errorf("replace copy by %s: %w", dir, err)
	}
	// From the moment that the pointer is written a crash finds the new copy.
	if err := savePointer(e.cfg.FS, e.cfg.Dir, name); err != nil {
		return errors.Join(fmt.Errorf("replace copy by %s: %w", dir, err), c.close())
	}
	e.mu.Lock()
	e.current.Store(c)
	e.mu.Unlock()
	e.retired.Go(func() error { return e.retire(old) })
	return nil
}

// adopt builds the directory of a copy, durable down to its entry in Config.Dir.
func (e *Engine) adopt(dir, name string) error {
	fs := e.cfg.FS
	to := fs.PathJoin(e.cfg.Dir, name)
	if err := fs.RemoveAll(to); err != nil { // of an attempt that failed
		return err
	}
	if err := makeDir(fs, to); err != nil {
		return err
	}
	if err := linkCheckpoint(fs, dir, to); err != nil {
		return err
	}
	return syncDir(fs, to)
}

// linkCheckpoint links the tables, which never change, and copies the rest.
func linkCheckpoint(fs vfs.FS, from, to string) error {
	names, err := fs.List(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		src, dst := fs.PathJoin(from, name), fs.PathJoin(to, name)
		if strings.HasSuffix(name, tableSuffix) && fs.Link(src, dst) == nil {
			continue
		}
		if err := copyFile(fs, src, dst); err != nil {
			return fmt.Errorf("copy %s: %w", src, err)
		}
	}
	return nil
}

// retire closes a replaced copy when its readers are done, and removes it.
// Failing to remove it costs space until the next start, nothing else.
func (e *Engine) retire(c *copyDB) error {
	err := c.close()
	if removed := e.cfg.FS.RemoveAll(c.dir); removed != nil {
		e.cfg.Log.Warn("replaced copy not removed", "dir", c.dir, "err", removed)
	}
	return err
}
