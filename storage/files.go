package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// category tells pebble's file systems whose writes these are.
const category = vfs.WriteCategoryUnspecified

// makeDir makes a directory and its parents and syncs each new entry.
func makeDir(fs vfs.FS, dir string) error {
	var missing []string
	for at := dir; ; at = fs.PathDir(at) {
		if _, err := fs.Stat(at); err == nil {
			break
		} else if !oserror.IsNotExist(err) {
			return err
		}
		missing = append(missing, at)
		if fs.PathDir(at) == at {
			break
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := syncDir(fs, fs.PathDir(missing[i])); err != nil {
			return err
		}
	}
	return syncDir(fs, dir)
}

// syncDir makes the entries of a directory durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync directory %s: %w", dir, err), d.Close())
	}
	return d.Close()
}

// writeFile replaces a file in one step: after a crash at any point the old or
// the new bytes are there, and the new ones once it has returned.
func writeFile(fs vfs.FS, path string, data []byte) error {
	temp := path + tempSuffix
	if err := writeSynced(fs, temp, data); err != nil {
		return fmt.Errorf("write %s: %w", temp, err)
	}
	if err := fs.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(fs, fs.PathDir(path))
}

const tempSuffix = ".tmp"

func writeSynced(fs vfs.FS, path string, data []byte) error {
	f, err := fs.Create(path, category)
	if err != nil {
		return err
	}
	// A copy: the file systems of vfs may change what they are given to write.
	if _, err := f.Write(bytes.Clone(data)); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// readFile reads a file of at most max bytes.
func readFile(fs vfs.FS, path string, max int64) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) > max {
		return nil, corrupt(path, "longer than %d bytes", max)
	}
	return data, nil
}

// copyFile copies the bytes of a file and syncs the new one.
func copyFile(fs vfs.FS, from, to string) error {
	src, err := fs.Open(from)
	if err != nil {
		return err
	}
	defer src.Close() // only read
	dst, err := fs.Create(to, category)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		return errors.Join(err, dst.Close())
	}
	if err := dst.Sync(); err != nil {
		return errors.Join(err, dst.Close())
	}
	return dst.Close()
}

func exists(fs vfs.FS, path string) (bool, error) {
	_, err := fs.Stat(path)
	if oserror.IsNotExist(err) {
		return false, nil
	}
	return err == nil, err
}
