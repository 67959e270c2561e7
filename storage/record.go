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
// first index of the StoreLogs call that wrote the record; see findLater.
const (
	recordIDLen     = 8
	recordHeaderLen = recordIDLen + 4 + 4*8 + 1 + 4 + 4
	recordBytesMax  = 64 << 20 // what raft-wal takes
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
	dataLen    uint32
	extLen     uint32
}

func recordLen(l *raft.Log) int { return recordHeaderLen + len(l.Data) + len(l.Extensions) }

// appendRecordHeader appends all of a record but data and extensions.
func appendRecordHeader(b []byte, id recordID, first uint64, l *raft.Log) []byte {
	start := len(b)
	b = append(b, id[:]...)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, first)
	b = binary.LittleEndian.AppendUint64(b, l.Index)
	b = binary.LittleEndian.AppendUint64(b, l.Term)
	b = binary.LittleEndian.AppendUint64(b, uint64(unixNano(l.AppendedAt)))
	b = append(b, byte(l.Type))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(l.Data)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(l.Extensions)))
	crc := recordCRC(b[start:], l.Data, l.Extensions)
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
		typ:        raft.LogType(b[36]),
		dataLen:    binary.LittleEndian.Uint32(b[37:]),
		extLen:     binary.LittleEndian.Uint32(b[41:]),
	}, nil
}

// bodyLen is the length of data and extensions together.
func (h recordHeader) bodyLen() int64 { return int64(h.dataLen) + int64(h.extLen) }

// decodeRecord fills l from a record. Data and Extensions point into b.
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

// recordCodec is how raft-wal writes and reads entries. first is set under the
// lock of Log before each write; readers do not look at it.
type recordCodec struct {
	id    recordID
	first uint64
}

// codecID must change with the record's layout: raft-wal keeps it per segment. So
// must formatVersion, which is in log.json and is refused with a sentence.
const codecID = 1<<16 + 0x6d73

func (c *recordCodec) ID() uint64 { return codecID }

func (c *recordCodec) Encode(l *raft.Log, w io.Writer) error {
	if b, ok := w.(interface{ Grow(int) }); ok {
		b.Grow(recordLen(l)) // one allocation per entry
	}
	var header [recordHeaderLen]byte
	for _, part := range [...][]byte{appendRecordHeader(header[:0], c.id, c.first, l), l.Data, l.Extensions} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Decode copies: raft-wal takes b back.
func (c *recordCodec) Decode(b []byte, l *raft.Log) error {
	return decodeRecord(append(make([]byte, 0, len(b)), b...), c.id, l)
}
