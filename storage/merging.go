package storage

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// mergePause is how long a compaction that had no space waits before pebble may
// try it again.
const mergePause = time.Second

// mergeFS is the copy's file system with compactions that may run out of space.
// What they write is a better form of what is there: pebble drops the new tables
// and keeps the old, so it is no reason to stop. A flush is: what it holds is in
// memory only.
type mergeFS struct {
	vfs.FS
	closing <-chan struct{}
}

// mergeCategory is pebble's name for what compactions write.
const mergeCategory = vfs.DiskWriteCategory("pebble-compaction")

var errNoSpaceToMerge = errors.New("no space for a compaction; the tables stay as they are, and it is tried again")

func (fs mergeFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	if c != mergeCategory {
		return f, err
	}
	if err != nil {
		return nil, fs.pause(err)
	}
	return mergeFile{f, fs}, nil
}

// Unwrap implements vfs.FS.
func (fs mergeFS) Unwrap() vfs.FS { return fs.FS }

// pause keeps pebble, which would begin again at once, from doing so. It is
// called without pebble's lock.
func (fs mergeFS) pause(err error) error {
	if err == nil || !noSpace(err) {
		return err
	}
	select {
	case <-time.After(mergePause):
	case <-fs.closing:
	}
	return fmt.Errorf("%w: %w", errNoSpaceToMerge, err)
}

type mergeFile struct {
	vfs.File
	fs mergeFS
}

func (f mergeFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.fs.pause(err)
}

func (f mergeFile) Preallocate(at, length int64) error {
	return f.fs.pause(f.File.Preallocate(at, length))
}

func (f mergeFile) Sync() error     { return f.fs.pause(f.File.Sync()) }
func (f mergeFile) SyncData() error { return f.fs.pause(f.File.SyncData()) }

func (f mergeFile) SyncTo(length int64) (full bool, err error) {
	full, err = f.File.SyncTo(length)
	return full, f.fs.pause(err)
}
