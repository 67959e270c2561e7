package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A snapshot travels as an archive of the checkpoint's files, sorted by name:
//
//	magic 8
//	per file:  name length 2 (above 0) | name | size 8 | content | CRC-32C 4
//	trailer:   0 2 | number of files 4 | CRC-32C 4
//
// A file's checksum covers all of the file's part before it; the trailer's all
// checksums before it and the number. Numbers are big-endian. The checksums
// protect the way; at rest pebble's own, one per block, do.
const (
	archiveMagic        = archiveName + "\x01" // the last byte is the version
	archiveName         = "msnap\x00\x00"
	archiveFileOverhead = 2 + 8 + 4
	archiveTrailerLen   = 2 + 4 + 4
	archiveNameMax      = 255
	archiveFilesMax     = 1 << 20
)

// archiveFile is one file of a checkpoint.
type archiveFile struct {
	name string
	size int64
}

// listArchive returns the files of a checkpoint and the size of its archive.
func listArchive(fs vfs.FS, dir string) (files []archiveFile, size int64, err error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, 0, err
	}
	slices.Sort(names)
	size = int64(len(archiveMagic)) + archiveTrailerLen
	for _, name := range names {
		info, err := fs.Stat(fs.PathJoin(dir, name))
		if err != nil {
			return nil, 0, err
		}
		if info.IsDir() || !goodArchiveName(name) {
			return nil, 0, fmt.Errorf("checkpoint %s: %q cannot be archived", dir, name)
		}
		files = append(files, archiveFile{name, info.Size()})
		size += archiveFileOverhead + int64(len(name)) + info.Size()
	}
	if len(files) == 0 || len(files) > archiveFilesMax {
		return nil, 0, fmt.Errorf("checkpoint %s has %d files", dir, len(files))
	}
	return files, size, nil
}

// goodArchiveName admits what a file system of ours would make, and nothing that
// leads out of a directory.
func goodArchiveName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > archiveNameMax {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c > '~' || c == '/' || c == '\\' {
			return false
		}
	}
	return true
}

// archiver reads a checkpoint as an archive. It keeps no more than a header in
// memory.
type archiver struct {
	fs    vfs.FS
	dir   string
	files []archiveFile // still to come
	count uint32

	head []byte // read before the file
	file vfs.File
	left int64  // of the file
	crc  uint32 // of the file's part
	all  uint32 // of all checksums
	done bool
}

func newArchiver(fs vfs.FS, dir string, files []archiveFile) *archiver {
	return &archiver{fs: fs, dir: dir, files: files, count: uint32(len(files)), head: []byte(archiveMagic)}
}

func (a *archiver) Read(p []byte) (int, error) {
	for len(a.head) == 0 && a.left == 0 {
		if a.done {
			return 0, io.EOF
		}
		if err := a.advance(); err != nil {
			return 0, err
		}
	}
	if len(a.head) > 0 {
		n := copy(p, a.head)
		a.head = a.head[n:]
		return n, nil
	}
	n, err := a.file.Read(p[:min(int64(len(p)), a.left)])
	a.crc = castagnoli(a.crc, p[:n])
	a.left -= int64(n)
	if n == 0 && err != nil {
		return 0, corrupt(a.dir, "a file ends early: %v", err)
	}
	return n, nil
}

// advance ends the file that was read, if any, and begins the next, or the
// trailer.
func (a *archiver) advance() error {
	var head []byte
	if a.file != nil {
		head = binary.BigEndian.AppendUint32(head, a.crc)
		a.all = castagnoli(a.all, head)
		if err := a.Close(); err != nil {
			return err
		}
	}
	if len(a.files) == 0 {
		head = append(head, 0, 0)
		head = binary.BigEndian.AppendUint32(head, a.count)
		all := castagnoli(a.all, head[len(head)-4:])
		a.head, a.done = binary.BigEndian.AppendUint32(head, all), true
		return nil
	}
	next := a.files[0]
	file, err := a.fs.Open(a.fs.PathJoin(a.dir, next.name))
	if err != nil {
		return fmt.Errorf("archive %s: %w", a.dir, err)
	}
	part := len(head)
	head = appendArchiveHead(head, next)
	a.file, a.left, a.files = file, next.size, a.files[1:]
	a.crc = castagnoli(0, head[part:])
	a.head = head
	return nil
}

func appendArchiveHead(b []byte, f archiveFile) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(f.name)))
	b = append(b, f.name...)
	return binary.BigEndian.AppendUint64(b, uint64(f.size))
}

// Close closes the file that is being read.
func (a *archiver) Close() error {
	if a.file == nil {
		return nil
	}
	err := a.file.Close()
	a.file = nil
	return err
}

var errArchive = errors.New("the snapshot archive is damaged")
