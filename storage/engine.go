package storage

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sync/errgroup"
)

// Engine is one node's copy. Reads, Flush, Checkpoint and Checksum are safe for
// concurrent use; Commit and Replace come from one goroutine.
//
// A copy lives in a directory of its own below Config.Dir. The pointer file
// says which; all others are leftovers of a crash and removed at Open.
type Engine struct {
	cfg     Config
	cache   *pebble.Cache
	current atomic.Pointer[copyDB] // nil once closed
	mu      sync.Mutex             // guards the change of current against acquire
	closing chan struct{}          // closed when errors of background work are expected
	waits   waits                  // of flushes and compactions without space
	retired errgroup.Group         // closes replaced copies when their readers are done
	closed  sync.Once
	result  error // of Close
}

// Open opens the copy in cfg.Dir, or makes an empty one.
func Open(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	e, err := open(cfg)
	if err != nil {
		if errors.Is(err, ErrCorrupt) {
			cfg.Metrics.corruption(storeCopy)
		}
		return nil, fmt.Errorf("open copy: %w", err)
	}
	return e, nil
}

func open(cfg Config) (*Engine, error) {
	if err := makeDir(cfg.FS, cfg.Dir); err != nil {
		return nil, err
	}
	name, err := loadPointer(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	if err := removeStrays(cfg.FS, cfg.Dir, name); err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, cache: pebble.NewCache(cfg.CacheBytes), closing: make(chan struct{})}
	e.waits.closing = e.closing
	c, err := e.openFirst(name)
	if err != nil {
		e.cache.Unref()
		return nil, err
	}
	e.current.Store(c)
	return e, nil
}

// openFirst opens the copy that the pointer names; in a fresh directory it makes
// one, and the pointer after it.
func (e *Engine) openFirst(name string) (*copyDB, error) {
	if name != "" {
		return e.openCopy(name, mustExist)
	}
	c, err := e.openCopy(copyName(1), mayCreate)
	if err != nil {
		return nil, err
	}
	if err := savePointer(e.cfg.FS, e.cfg.Dir, c.name); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// Close waits for readers and closes the copy. What was not flushed will be
// replayed from the raft log.
func (e *Engine) Close() error {
	e.closed.Do(func() {
		close(e.closing)
		e.mu.Lock()
		c := e.current.Swap(nil)
		e.mu.Unlock()
		e.result = errors.Join(c.close(), e.retired.Wait())
		e.cache.Unref()
	})
	return e.result
}

// Globals returns the state as of the last commit.
func (e *Engine) Globals() Globals {
	if c := e.current.Load(); c != nil {
		return *c.globals.Load()
	}
	return Globals{}
}

// Persisted returns globals that a power cut now would leave, or later ones
// would: those of the last Flush.
func (e *Engine) Persisted() Globals {
	if c := e.current.Load(); c != nil {
		return *c.persisted.Load()
	}
	return Globals{}
}

// UnflushedBytes is what a flush would write now, at most.
func (e *Engine) UnflushedBytes() int64 {
	c, err := e.acquire()
	if err != nil {
		return 0
	}
	defer c.release()
	return int64(c.db.Metrics().MemTable.Size)
}

// acquire returns the current copy, which stays open until release.
func (e *Engine) acquire() (*copyDB, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.current.Load()
	if c == nil {
		return nil, ErrClosed
	}
	c.readers.Add(1)
	return c, nil
}
