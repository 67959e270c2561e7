package stream

import (
	"encoding/binary"
)

// recordVersion is the first byte of a stored record.
const recordVersion = 1

// StoredAppend is one append as it is kept.
type StoredAppend struct {
	Data     []byte
	Messages []uint32 // lengths of its JSON messages; nil for other content
	At       Time
}

// Record is what one log entry added to one stream: the wire bytes of its
// appends, and a table of where each ends, so that storing them together never
// shows.
//
//	version │ n │ time │ n × {length, time since the one before, table length} │ tables of message lengths │ data
type Record struct {
	Start  uint64 // position of the first byte
	Data   []byte
	n      int
	first  Time
	marks  []byte
	tables []byte
}

// AppendRecordHeader appends all of a record but its data, which follows it in
// the order of appends.
func AppendRecordHeader(b []byte, appends []StoredAppend) []byte {
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, uint64(len(appends)))
	before := appends[0].At
	b = binary.AppendVarint(b, int64(before))
	for _, a := range appends {
		b = binary.AppendUvarint(b, uint64(len(a.Data)))
		b = binary.AppendVarint(b, int64(a.At-before))
		b = binary.AppendUvarint(b, uint64(tableLen(a.Messages)))
		before = a.At
	}
	for _, a := range appends {
		for _, n := range a.Messages {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return b
}

func tableLen(messages []uint32) (n int) {
	for _, m := range messages {
		n++
		for ; m >= 0x80; m >>= 7 {
			n++
		}
	}
	return n
}

// ParseRecord reads a stored value that begins at start. The Record points
// into value.
func ParseRecord(start uint64, value []byte) (Record, error) {
	d := decoder{b: value}
	if v := d.byte(); v != recordVersion {
		return Record{}, unknownVersion("a record", v, recordVersion)
	}
	r := Record{Start: start, n: d.count(), first: Time(d.varint()), marks: d.b}
	var data, tables uint64
	for range r.n { // each length is within what follows, so no sum overflows
		data += uint64(d.count())
		d.varint()
		tables += uint64(d.count())
	}
	if d.failed || r.n == 0 || tables > uint64(len(d.b)) || data != uint64(len(d.b))-tables {
		return Record{}, errTruncated
	}
	r.tables, r.Data = d.b[:tables], d.b[tables:]
	return r, nil
}

// End is the position after the last byte.
func (r *Record) End() uint64 { return r.Start + uint64(len(r.Data)) }

// Each calls fn with the bounds of every append in order, until it returns
// false.
func (r *Record) Each(fn func(start, end uint64, at Time) bool) {
	d := decoder{b: r.marks}
	start, at := r.Start, r.first
	for range r.n {
		end := start + d.uvarint()
		at += Time(d.varint())
		d.uvarint()
		if !fn(start, end, at) {
			return
		}
		start = end
	}
}

// EndsAt reports whether one of the appends ends at pos.
func (r *Record) EndsAt(pos uint64) (found bool) {
	r.Each(func(_, end uint64, _ Time) bool {
		found = end == pos
		return end < pos
	})
	return found
}

// Cut returns where a chunk of at most limit bytes that begins at pos ends: the
// last append end within the limit, or the first one if that append alone is
// longer. pos must lie between two appends of r.
func (r *Record) Cut(pos uint64, limit int) (end uint64) {
	end = pos
	r.Each(func(_, e uint64, _ Time) bool {
		if e <= pos {
			return true
		}
		if end > pos && e-pos > uint64(max(limit, 0)) {
			return false
		}
		end = e
		return true
	})
	return end
}

// Slice returns the bytes from one position to another.
func (r *Record) Slice(from, to uint64) []byte { return r.Data[from-r.Start : to-r.Start] }

// AppendAt returns the append that begins at pos.
func (r *Record) AppendAt(pos uint64) (a StoredAppend, ok bool) {
	d := decoder{b: r.marks}
	start, at, table := r.Start, r.first, uint64(0)
	for range r.n {
		n := d.uvarint()
		at += Time(d.varint())
		size := d.uvarint()
		if start == pos {
			a = StoredAppend{Data: r.Slice(start, start+n), At: at}
			a.Messages = messageLengths(r.tables[table : table+size])
			return a, true
		}
		start, table = start+n, table+size
	}
	return StoredAppend{}, false
}

func messageLengths(table []byte) (lengths []uint32) {
	for d := (decoder{b: table}); len(d.b) > 0; {
		lengths = append(lengths, uint32(d.uvarint()))
	}
	return lengths
}
