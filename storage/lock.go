package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// LockDir makes sure that no other process uses a data directory, which it makes
// when absent. The lock ends with Close, or with the process.
func LockDir(dir Dir) (io.Closer, error) {
	if err := makeDir(vfs.Default, string(dir)); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	f, err := os.OpenFile(dir.lock(), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(taken(dir, f), f.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock data directory %s: %w", dir, err), f.Close())
	}
	// The process id is a help for a person; the lock is what counts.
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
}

// LockDirToRead makes sure that no process writes in a data directory while it is
// looked at. It changes nothing: a directory without a lock file has none to take.
func LockDirToRead(dir Dir) (io.Closer, error) {
	f, err := os.Open(dir.lock())
	if errors.Is(err, os.ErrNotExist) {
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(taken(dir, f), f.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock data directory %s: %w", dir, err), f.Close())
	}
	return f, nil
}

func taken(dir Dir, f *os.File) error {
	var b [32]byte
	n, _ := f.ReadAt(b[:], 0)
	pid := strings.TrimSpace(string(b[:n]))
	if pid == "" {
		pid = "unknown"
	}
	return fmt.Errorf("the data directory %s is in use by another mainstem (process %s); stop it, or use another --data-dir", dir, pid)
}
