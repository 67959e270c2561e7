package storage

import (
	"os"
	"sync/atomic"
	"syscall"

	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"
)

// segmentFS is raft-wal's own file system, but for how a segment is made durable.
//
// A segment has its length, and mostly its blocks, before it is written to, so
// that fdatasync has to wait for the data alone. An fsync brings the time of the
// last change too, which takes a commit of the file system's journal: a second
// wait for the disk, in line behind all others who use that file system.
type segmentFS struct{ types.VFS }

func newSegmentFS() segmentFS { return segmentFS{walfs.New()} }

// Create implements types.VFS.
func (s segmentFS) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := s.VFS.Create(dir, name, size)
	return dataSynced(f), err
}

// OpenWriter implements types.VFS.
func (s segmentFS) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := s.VFS.OpenWriter(dir, name)
	return dataSynced(f), err
}

// segmentFile makes all of a file durable with the first Sync, with its place in
// the directory when it is new, and afterwards what it takes to read its data.
type segmentFile struct {
	types.WritableFile
	conn  syscall.Conn
	whole atomic.Bool // synced by this process, with all that is known of it
}

// dataSynced returns f itself where the system knows no such thing.
func dataSynced(f types.WritableFile) types.WritableFile {
	conn, ok := f.(syscall.Conn)
	if f == nil || !ok || !canSyncData {
		return f
	}
	return &segmentFile{WritableFile: f, conn: conn}
}

// Sync implements types.WritableFile.
func (f *segmentFile) Sync() error {
	if !f.whole.Load() {
		if err := f.WritableFile.Sync(); err != nil {
			return err
		}
		f.whole.Store(true)
		return nil
	}
	raw, err := f.conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = syncData(int(fd)) }); err != nil {
		return err
	}
	return os.NewSyscallError("fdatasync", failed)
}
