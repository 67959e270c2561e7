package storage

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// copyDB is one copy: a pebble store in a directory of its own, and those who
// read from it now.
type copyDB struct {
	name      string
	dir       string
	db        *pebble.DB
	readers   sync.WaitGroup          // added to under Engine.mu while current
	globals   atomic.Pointer[Globals] // as of the last commit
	persisted atomic.Pointer[Globals] // as of the last flush
}

// presence says whether a copy may be made.
type presence bool

const (
	mustExist presence = false
	mayCreate presence = true
)

func (e *Engine) openCopy(name string, p presence) (*copyDB, error) {
	dir := e.cfg.FS.PathJoin(e.cfg.Dir, name)
	opts := e.options()
	opts.ErrorIfNotExists = p == mustExist
	db, err := pebble.Open(dir, opts)
	switch {
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return nil, corrupt(dir, "the copy that the pointer names is missing")
	case err != nil:
		return nil, openError(dir, err)
	}
	c := &copyDB{name: name, dir: dir, db: db}
	g, err := loadGlobals(db)
	if err != nil {
		return nil, errors.Join(named("read globals of "+dir, dir, err), db.Close())
	}
	c.globals.Store(&g)
	c.persisted.Store(&g) // without a log of its own all that was found was flushed
	return c, nil
}

// openError wraps what pebble says about a directory that it cannot open. An
// error of the operating system is passed on as such. Whatever else there is is
// damage, a missing or cut file too, for which pebble has no class of error.
func openError(dir string, err error) error {
	var system syscall.Errno
	refused := errors.As(err, &system) && system != syscall.ENOENT
	switch {
	case strings.Contains(err.Error(), "unknown format major version"):
		return fmt.Errorf("open copy %s: %w: %w; start the version that wrote it, or upgrade this node", dir, ErrNewerFormat, err)
	case refused, strings.Contains(err.Error(), "lock held by"):
		return fmt.Errorf("open copy %s: %w", dir, err)
	case pebble.IsCorruptionError(err):
		return named("open copy", dir, err)
	}
	return corrupt(dir, "%v", err)
}

func (c *copyDB) release() { c.readers.Done() }

// close waits for the readers. The caller has taken c out of use.
func (c *copyDB) close() error {
	c.readers.Wait()
	if err := c.db.Close(); err != nil {
		return fmt.Errorf("close copy %s: %w", c.dir, err)
	}
	return nil
}
