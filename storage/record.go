package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

// A record is one entry of the raft log as it lies on disk:
//
//	id 8 | crc 4 | first 8 | index 8 | term 8 | appended at 8 | type 1 |
//	data length 4 | extensions length 4 | data | extensions
//
// id is the random identity of this log: it tells records from whatever bytes a
// client has put into an entry. crc is CRC-32C over all the rest. first is the
// first index of the StoreLogs call that wrote the record; see findLater. The
// highest bit of type says that data is packed: the lengths are those of what is
// stored.
const (
	recordIDLen     = 8
	recordHeaderLen = recordIDLen + 4 + 4*8 + 1 + 4 + 4
	recordBytesMax  = 64 << 20 // what raft-wal takes
	recordPacked    = 1 << 7   // in type
)

// recordVersion is that of the records and of log.json beside them, which a
// version that does not know it refuses with a sentence. It is recordVersionPlain,
// the least that is written, while none of them is packed.
const (
	recordVersion      = 2
	recordVersionPlain = 1
)

type recordID [recordIDLen]byte

var errRecord = errors.New("bad record")

type recordHeader struct {
	crc        uint32
	first      uint64
	index      uint64
	term       uint64
	appendedAt int64
	typ        raft.LogType
	packed     bool
	dataLen    uint32
	extLen     uint32
}

// recordLen is the length of the record of an entry that is not packed.
func recordLen(l *raft.Log) int { return recordHeaderLen + len(l.Data) + len(l.Extensions) }

// appendRecordHeader appends all of a record but data, which is what is stored of
// it, and extensions.
func appendRecordHeader(b []byte, id recordID, first uint64, l *raft.Log, data []byte, packed bool) []byte {
	start := len(b)
	b = append(b, id[:]...)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, first)
	b = binary.LittleEndian.AppendUint64(b, l.Index)
	b = binary.LittleEndian.AppendUint64(b, l.Term)
	b = binary.LittleEndian.AppendUint64(b, uint64(unixNano(l.AppendedAt)))
	typ := byte(l.Type)
	if packed {
		typ |= recordPacked
	}
	b = append(b, typ)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(l.Extensions)))
	crc := recordCRC(b[start:], data, l.Extensions)
	binary.LittleEndian.PutUint32(b[start+recordIDLen:], crc)
	return b
}

func recordCRC(header, data, extensions []byte) uint32 {
	crc := castagnoli(0, header[:recordIDLen])
	crc = castagnoli(crc, header[recordIDLen+4:recordHeaderLen])
	crc = castagnoli(crc, data)
	return castagnoli(crc, extensions)
}

func parseRecordHeader(b []byte, id recordID) (h recordHeader, err error) {
	if len(b) < recordHeaderLen {
		return h, fmt.Errorf("%w: %d bytes are too few", errRecord, len(b))
	}
	if recordID(b[:recordIDLen]) != id {
		return h, fmt.Errorf("%w: it does not begin with the id of this log", errRecord)
	}
	b = b[recordIDLen:]
	return recordHeader{
		crc:        binary.LittleEndian.Uint32(b),
		first:      binary.LittleEndian.Uint64(b[4:]),
		index:      binary.LittleEndian.Uint64(b[12:]),
		term:       binary.LittleEndian.Uint64(b[20:]),
		appendedAt: int64(binary.LittleEndian.Uint64(b[28:])),
		typ:        raft.LogType(b[36] &^ recordPacked),
		packed:     b[36]&recordPacked != 0,
		dataLen:    binary.LittleEndian.Uint32(b[37:]),
		extLen:     binary.LittleEndian.Uint32(b[41:]),
	}, nil
}

// bodyLen is the length of data and extensions together.
func (h recordHeader) bodyLen() int64 { return int64(h.dataLen) + int64(h.extLen) }

// decodeRecord fills l from a record. Data, unless it was packed, and Extensions
// point into b.
func decodeRecord(b []byte, id recordID, l *raft.Log) error {
	h, err := parseRecordHeader(b, id)
	if err != nil {
		return err
	}
	body := b[recordHeaderLen:]
	if int64(len(body)) != h.bodyLen() {
		return fmt.Errorf("%w: it has %d bytes and its header says %d", errRecord, len(body), h.bodyLen())
	}
	data, extensions := body[:h.dataLen:h.dataLen], body[h.dataLen:]
	if crc := recordCRC(b[:recordHeaderLen], data, extensions); crc != h.crc {
		return fmt.Errorf("%w: its checksum is %08x and its content has %08x", errRecord, h.crc, crc)
	}
	if h.packed {
		if data, err = unpack(data); err != nil {
			return err
		}
	}
	*l = raft.Log{
		Index: h.index, Term: h.term, Type: h.typ,
		Data: nonEmpty(data), Extensions: nonEmpty(extensions),
		AppendedAt: fromUnixNano(h.appendedAt),
	}
	return nil
}

func nonEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// unixNano maps the zero time to 0, which it does not reach otherwise.
func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromUnixNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// recordCodec is how raft-wal writes and reads entries. first and packer are used
// under the lock of Log, by writes; readers do not look at them.
type recordCodec struct {
	id     recordID
	first  uint64
	packer packer
}

// codecID is what raft-wal keeps per segment. Records say themselves what they are,
// so that it stays while they can be told apart; recordVersion must change.
const codecID = 1<<16 + 0x6d73

func (c *recordCodec) ID() uint64 { return codecID }

func (c *recordCodec) Encode(l *raft.Log, w io.Writer) error {
	data, packed := c.packer.pack(l)
	if b, ok := w.(interface{ Grow(int) }); ok {
		b.Grow(recordHeaderLen + len(data) + len(l.Extensions)) // one allocation per entry
	}
	var header [recordHeaderLen]byte
	for _, part := range [...][]byte{appendRecordHeader(header[:0], c.id, c.first, l, data, packed), data, l.Extensions} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Decode copies what it does not unpack: raft-wal takes b back.
func (c *recordCodec) Decode(b []byte, l *raft.Log) error {
	if h, err := parseRecordHeader(b, c.id); err != nil || !h.packed || h.extLen > 0 {
		b = append(make([]byte, 0, len(b)), b...)
	}
	return decodeRecord(b, c.id, l)
}
