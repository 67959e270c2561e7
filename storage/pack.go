package storage

import (
	"fmt"

	"github.com/hashicorp/raft"
	"github.com/klauspost/compress/s2"
)

const (
	// packLeast is the size from which on the data of an entry is packed: below, it
	// saves too few bytes.
	packLeast = 16 << 10
	// packGain is the least that packing must save, as a part of the data: 1/8.
	packGain = 8
	// packKept is the largest buffer that is kept for the next entry.
	packKept = 4 << 20
)

// packer makes the data of entries smaller on its way to disk. A log is written at
// the speed of the disk, while an entry waits for it. Text that was never seen before
// is packed at some 500 MB/s, which on a disk of 200 takes about as long as it saves;
// what repeats itself, and what cannot be packed, goes several times as fast. It is
// used by one goroutine.
type packer struct{ buf []byte }

func mayPack(l *raft.Log) bool { return len(l.Data) >= packLeast }

// pack returns what is stored as the data of an entry, until the next pack, and
// whether it is packed.
func (p *packer) pack(l *raft.Log) (stored []byte, packed bool) {
	if !mayPack(l) {
		return l.Data, false
	}
	n := s2.MaxEncodedLen(len(l.Data))
	if n < 0 {
		return l.Data, false // more than an entry may have
	}
	buf := p.buf
	if cap(buf) < n {
		buf = make([]byte, n)
		if n <= packKept {
			p.buf = buf
		}
	}
	stored = s2.Encode(buf[:n], l.Data)
	if len(stored) > len(l.Data)-len(l.Data)/packGain {
		return l.Data, false
	}
	return stored, true
}

// unpack is for data whose checksum was good.
func unpack(stored []byte) ([]byte, error) {
	n, err := s2.DecodedLen(stored)
	if err != nil || n > recordBytesMax {
		return nil, fmt.Errorf("%w: its packed data says that it has %d bytes: %v", errRecord, n, err)
	}
	data, err := s2.Decode(make([]byte, n), stored)
	if err != nil {
		return nil, fmt.Errorf("%w: its packed data: %v", errRecord, err)
	}
	return data, nil
}
