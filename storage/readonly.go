package storage

import (
	"io"
	"os"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// readOnlyFS refuses whatever would change a file system. Pebble makes a lock
// file even to read; a file more would damage a checkpoint, so it gets none. The
// lock of the data directory keeps others out.
type readOnlyFS struct{ vfs.FS }

func (readOnlyFS) Create(string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, oserror.ErrPermission
}

func (readOnlyFS) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, oserror.ErrPermission
}

func (readOnlyFS) ReuseForWrite(_, _ string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, oserror.ErrPermission
}

func (readOnlyFS) Link(_, _ string) error                 { return oserror.ErrPermission }
func (readOnlyFS) Remove(string) error                    { return oserror.ErrPermission }
func (readOnlyFS) RemoveAll(string) error                 { return oserror.ErrPermission }
func (readOnlyFS) Rename(_, _ string) error               { return oserror.ErrPermission }
func (readOnlyFS) Lock(string) (io.Closer, error)         { return io.NopCloser(nil), nil }
func (readOnlyFS) MkdirAll(_ string, _ os.FileMode) error { return oserror.ErrPermission }
