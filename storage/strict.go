package storage

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// StrictFS returns fs with fsyncs that cannot fail quietly: at the first failed
// one, of a file or a directory, fatal is told, which must end the process and
// not return. The kernel drops what it could not write, and a later fsync of the
// same file reports success, so whoever called must not get to try again.
//
// A disk without space is another matter: what was being written is incomplete
// and known to be. The caller gets that error and decides.
func StrictFS(fs vfs.FS, fatal func(error)) vfs.FS { return strictFS{fs, orPanic(fatal)} }

type strictFS struct {
	vfs.FS
	fatal func(error)
}

func (fs strictFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	return fs.strict(name, f, err)
}

func (fs strictFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, c, opts...)
	return fs.strict(name, f, err)
}

func (fs strictFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(from, to, c)
	return fs.strict(to, f, err)
}

func (fs strictFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	return fs.strict(name, f, err)
}

// Unwrap implements vfs.FS.
func (fs strictFS) Unwrap() vfs.FS { return fs.FS }

func (fs strictFS) strict(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return strictFile{f, name, fs.fatal}, nil
}

type strictFile struct {
	vfs.File
	name  string
	fatal func(error)
}

func (f strictFile) Sync() error     { return f.judge(f.File.Sync()) }
func (f strictFile) SyncData() error { return f.judge(f.File.SyncData()) }

func (f strictFile) SyncTo(length int64) (full bool, err error) {
	full, err = f.File.SyncTo(length)
	return full, f.judge(err)
}

func (f strictFile) judge(err error) error {
	if err != nil && !noSpace(err) {
		f.fatal(fmt.Errorf("fsync %s: %w", f.name, err))
	}
	return err
}

// noSpace reports an error that says that the disk, or the share of it that this
// user may have, is full.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
