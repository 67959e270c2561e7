package storage

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// unarchiveBuffer bounds the memory of unpacking, whatever the archive says.
const unarchiveBuffer = 256 << 10

// unarchive unpacks r into dir, which exists and is empty, and syncs each file
// and the directory. It fails unless the archive is whole, ends where r ends,
// and every checksum holds.
func unarchive(fs vfs.FS, dir string, r io.Reader) error {
	u := &unarchiver{fs: fs, dir: dir, r: bufio.NewReaderSize(r, unarchiveBuffer)}
	if err := u.run(); err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: it ends early", errArchive)
		}
		return err
	}
	return syncDir(fs, dir)
}

type unarchiver struct {
	fs   vfs.FS
	dir  string
	r    *bufio.Reader
	last string // file; names ascend, so that none comes twice
	crc  uint32 // of the part being read
	all  uint32 // of all checksums
}

func (u *unarchiver) run() error {
	magic, err := u.take(len(archiveMagic))
	if err != nil {
		return err
	}
	if known := archiveMagic[len(archiveName)]; bytes.HasPrefix(magic, []byte(archiveName)) && magic[len(archiveName)] > known {
		return fmt.Errorf("a snapshot has format %d and this version reads %d: %w; upgrade this node", magic[len(archiveName)], known, ErrNewerFormat)
	}
	if string(magic) != archiveMagic {
		return fmt.Errorf("%w: it begins with %q; was it sent by another version?", errArchive, magic)
	}
	for count := uint32(0); ; count++ {
		u.crc = 0
		b, err := u.take(2)
		if err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint16(b))
		if n == 0 {
			return u.trailer(count)
		}
		if count == archiveFilesMax {
			return fmt.Errorf("%w: more than %d files", errArchive, archiveFilesMax)
		}
		if err := u.unpack(n); err != nil {
			return err
		}
	}
}

// take reads a few bytes and adds them to the part's checksum.
func (u *unarchiver) take(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(u.r, b); err != nil {
		return nil, early(err)
	}
	u.crc = castagnoli(u.crc, b)
	return b, nil
}

// early makes one error of the two that say that the bytes ran out.
func early(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

func (u *unarchiver) unpack(nameLen int) error {
	b, err := u.take(nameLen + 8)
	if err != nil {
		return err
	}
	name, size := string(b[:nameLen]), binary.BigEndian.Uint64(b[nameLen:])
	if !goodArchiveName(name) || name <= u.last || size > 1<<62 {
		return fmt.Errorf("%w: file %q of %d bytes after %q", errArchive, name, size, u.last)
	}
	u.last = name
	f, err := u.fs.Create(u.fs.PathJoin(u.dir, name), category)
	if err != nil {
		return err
	}
	if err := u.content(f, int64(size)); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync %s: %w", name, err), f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	crc := u.crc
	sum, err := u.take(4)
	if err != nil {
		return err
	}
	if got := binary.BigEndian.Uint32(sum); got != crc {
		return fmt.Errorf("%w: the checksum of %s is %08x and its content has %08x", errArchive, name, got, crc)
	}
	u.all = castagnoli(u.all, sum)
	return nil
}

// content copies by way of the reader's own buffer.
func (u *unarchiver) content(f vfs.File, size int64) error {
	for size > 0 {
		b, err := u.r.Peek(int(min(size, unarchiveBuffer)))
		if len(b) == 0 {
			return early(err)
		}
		u.crc = castagnoli(u.crc, b) // before Write, which may change b
		if _, err := f.Write(b); err != nil {
			return err
		}
		size -= int64(len(b))
		u.r.Discard(len(b)) // buffered, cannot fail
	}
	return nil
}

func (u *unarchiver) trailer(count uint32) error {
	b, err := u.take(archiveTrailerLen - 2)
	if err != nil {
		return err
	}
	want := castagnoli(u.all, b[:4])
	if n := binary.BigEndian.Uint32(b); n != count || binary.BigEndian.Uint32(b[4:]) != want {
		return fmt.Errorf("%w: its trailer does not check", errArchive)
	}
	if count == 0 {
		return fmt.Errorf("%w: it is empty", errArchive)
	}
	if _, err := u.r.ReadByte(); err == nil {
		return fmt.Errorf("%w: bytes follow its end", errArchive)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
