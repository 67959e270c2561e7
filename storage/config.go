package storage

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	defaultCacheBytes    = 64 << 20
	defaultMemTableBytes = 32 << 20
	memTableBytesMin     = 64 << 10
	memTableBytesMax     = 1 << 30
)

// Config says where the copy lies and how much memory it may take. The zero
// value of each field but Dir is the documented default.
type Config struct {
	Dir           string       // of the copy alone; made when absent
	FS            vfs.FS       // nil: the operating system's
	CacheBytes    int64        // of decoded blocks; 0: 64 MiB
	MemTableBytes int64        // a quarter of what is held before it is flushed; 0: 32 MiB
	Log           *slog.Logger // nil: discarded
	Metrics       *Metrics     // nil: not counted
	// MayMerge tells whether compactions may go on taking disk space, which they
	// give back at their end. nil: always. See Space.MayMerge.
	MayMerge func() bool
	// Fatal is told of an error after which the copy must not be used: a failed
	// fsync, or a flush or compaction that failed for more than want of space. It must end the process and not return, and it
	// must not call the Engine. nil: panic.
	Fatal func(error)
	// Damaged is told, each time it is met, that a part of the copy cannot be read
	// any more. The rest can, and writes are taken. It may be called with locks
	// held: it must not call the Engine. nil: logged.
	Damaged func(error)
}

// Validate names the first field that cannot be used.
func (c Config) Validate() error {
	switch {
	case c.Dir == "":
		return errors.New("storage: Dir is empty")
	case c.CacheBytes < 0:
		return fmt.Errorf("storage: CacheBytes is %d; use a positive number or 0 for 64 MiB", c.CacheBytes)
	case c.MemTableBytes != 0 && (c.MemTableBytes < memTableBytesMin || c.MemTableBytes > memTableBytesMax):
		return fmt.Errorf("storage: MemTableBytes is %d; use 64 KiB to 1 GiB or 0 for 32 MiB", c.MemTableBytes)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = defaultCacheBytes
	}
	if c.MemTableBytes == 0 {
		c.MemTableBytes = defaultMemTableBytes
	}
	if c.MayMerge == nil {
		c.MayMerge = func() bool { return true }
	}
	c.Log = orDiscard(c.Log)
	c.Fatal = orPanic(c.Fatal)
	c.FS = StrictFS(c.FS, c.Fatal)
	if c.Damaged == nil {
		log := c.Log
		c.Damaged = func(err error) { log.Error("copy is damaged", "err", err) }
	}
	return c
}

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

func orPanic(fatal func(error)) func(error) {
	if fatal == nil {
		return func(err error) { panic(err) }
	}
	return fatal
}
