package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/coreos/etcd/pkg/fileutil"
)

// ballast is a file that holds blocks of the disk back. Whether it survives a
// crash does not matter: it is made again.
type ballast struct{ path string }

// held is its size; an operator may have removed it.
func (b ballast) held() int64 {
	info, err := os.Stat(b.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// make gives it size bytes of real blocks, where the file system can do so.
func (b ballast) make(size int64) error {
	f, err := os.OpenFile(b.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = fileutil.Preallocate(f, size, true)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("allocate: %w", err), b.drop())
	}
	return nil
}

func (b ballast) drop() error {
	if err := os.Remove(b.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
