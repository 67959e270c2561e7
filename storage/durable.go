package storage

import (
	"fmt"
)

// Flush writes what was committed before the call into synced tables. After it
// Persisted covers that.
func (e *Engine) Flush() error {
	c, err := e.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	return c.flush()
}

func (c *copyDB) flush() error {
	if err := c.db.Flush(); err != nil {
		return named("flush "+c.dir, c.dir, err)
	}
	g, err := durableGlobals(c.db)
	if err != nil {
		return named("read globals after flush", c.dir, err)
	}
	for {
		old := c.persisted.Load()
		if g.Applied <= old.Applied || c.persisted.CompareAndSwap(old, &g) {
			return nil
		}
	}
}

// Checkpoint makes dir a copy of this one by hard links: all that was committed
// before the call, and maybe more. dir must not exist. Its files, the directory
// and its entry in its parent are synced.
func (e *Engine) Checkpoint(dir string) error {
	c, err := e.acquire()
	if err != nil {
		return err
	}
	defer c.release()
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.db.Checkpoint(dir); err != nil {
		return named(fmt.Sprintf("checkpoint %s into %s", c.dir, dir), c.dir, err)
	}
	return nil
}
