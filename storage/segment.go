package storage

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/hashicorp/raft-wal/segment"
)

// Facts about raft-wal's segment files, which are of its format version 0: a
// header, then frames of a header, a payload and padding to eight bytes. A
// commit frame carries CRC-32C over all since the commit before it.
const (
	segmentSuffix      = ".wal"
	segmentHeaderLen   = 32
	segmentFrameHeader = 8
)

// segmentScan is what a segment file holds.
type segmentScan struct {
	offsets    []uint32 // of the entries in good commits
	end        int64    // after the last good commit, 0 when there is none
	indexStart uint64   // of the index array when a good commit sealed the file
	torn       bool     // more frames follow end
}

// scanSegment reads a segment from its start to the first commit or frame that
// is not good. Only input errors are errors.
func scanSegment(f io.ReaderAt, size int64) (s segmentScan, err error) {
	w := &frameWalk{
		r:   bufio.NewReaderSize(io.NewSectionReader(f, 0, size), 1<<20),
		crc: crc32.New(crc32.MakeTable(crc32.Castagnoli)),
	}
	if err := w.skip(segmentHeaderLen); err != nil {
		return s, ignoreEnd(err)
	}
	var entries []uint32
	var indexStart uint64
	for {
		start := w.at
		typ, n, err := w.next()
		if err != nil {
			return s, ignoreEnd(err)
		}
		switch typ {
		case segment.FrameEntry:
			entries = append(entries, uint32(start))
		case segment.FrameIndex:
			indexStart = uint64(start) + segmentFrameHeader
		case segment.FrameCommit:
			if n != w.sum {
				s.torn = true
				return s, nil
			}
			s.offsets, s.end, s.indexStart, s.torn = entries, w.at, indexStart, false
			continue
		default:
			return s, nil // zeros, the usual end, or no frame at all
		}
		s.torn = true // until its commit is read
	}
}

// ignoreEnd: a file that ends in mid-frame was torn there.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// frameWalk reads frames and keeps the checksum as the writer did.
type frameWalk struct {
	r   *bufio.Reader
	at  int64
	crc interface {
		io.Writer
		Sum32() uint32
		Reset()
	}
	sum uint32 // before the frame that next returned
}

// next reads a frame. n is the length of its payload, or the checksum of a
// commit.
func (w *frameWalk) next() (typ uint8, n uint32, err error) {
	header, err := w.r.Peek(segmentFrameHeader)
	if err != nil {
		return 0, 0, err
	}
	typ, n = header[0], binary.LittleEndian.Uint32(header[4:])
	if header[1]|header[2]|header[3] != 0 {
		return 0, 0, nil
	}
	w.sum = w.crc.Sum32()
	switch typ {
	case segment.FrameEntry, segment.FrameIndex:
		if n > segment.MaxEntrySize {
			return 0, 0, nil
		}
		return typ, n, w.skip(segmentFrameHeader + (int64(n)+7)&^7)
	case segment.FrameCommit:
		err := w.skip(segmentFrameHeader)
		w.crc.Reset()
		return typ, n, err
	}
	return 0, 0, nil
}

func (w *frameWalk) skip(n int64) error {
	k, err := io.CopyN(w.crc, w.r, n)
	w.at += k
	return err
}

// findLater looks behind from for a record that proves that the entry after last
// was acknowledged: one that was written by a later StoreLogs than the one that
// wrote last+1. What follows a torn write never does: it was part of it, or of
// one before it. It returns the record's index, 0 for none.
func findLater(f io.ReaderAt, from, size int64, id recordID, last uint64) (uint64, error) {
	const window = 1 << 20
	buf := make([]byte, window+recordIDLen-1)
	for at := from; at < size; at += window {
		n, err := f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("read at %d: %w", at, err)
		}
		for i := 0; ; i++ {
			k := bytes.Index(buf[i:n], id[:])
			if k < 0 {
				break
			}
			i += k
			h, ok, err := recordAt(f, at+int64(i), size, id)
			if err != nil {
				return 0, err
			}
			if ok && h.first > last+1 {
				return h.index, nil
			}
		}
	}
	return 0, nil
}

// recordAt reports whether a whole record with a good checksum lies at a place.
func recordAt(f io.ReaderAt, at, size int64, id recordID) (h recordHeader, ok bool, err error) {
	var header [recordHeaderLen]byte
	if at+recordHeaderLen > size {
		return h, false, nil
	}
	if _, err := f.ReadAt(header[:], at); err != nil {
		return h, false, fmt.Errorf("read record at %d: %w", at, err)
	}
	if h, err = parseRecordHeader(header[:], id); err != nil {
		return h, false, nil
	}
	if at+recordHeaderLen+h.bodyLen() > size || h.bodyLen() > recordBytesMax {
		return h, false, nil
	}
	body := make([]byte, h.bodyLen())
	if _, err := f.ReadAt(body, at+recordHeaderLen); err != nil {
		return h, false, fmt.Errorf("read record at %d: %w", at, err)
	}
	return h, recordCRC(header[:], body, nil) == h.crc, nil
}
