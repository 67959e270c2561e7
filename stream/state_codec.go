package stream

import (
	"encoding/binary"
)

// stateVersion is the first byte of a stored State.
const stateVersion = 1

const (
	stateClosed = 1 << iota
	stateClosedBy
	stateOrigin
	stateInheritsLifetime
	stateDeleted
	stateRetention  // or anything that comes of it
	stateFlagsKnown = 1<<iota - 1
)

// AppendState appends the stored form of s to b.
func AppendState(b []byte, s *State) []byte {
	b = append(b, stateVersion, s.flags())
	b = binary.AppendUvarint(b, s.Incarnation)
	b = appendBytes(b, s.ContentType)
	b = appendLifetime(b, s.Lifetime)
	b = binary.AppendVarint(b, int64(s.CreatedAt))
	b = binary.AppendVarint(b, int64(s.Deadline))
	b = binary.AppendVarint(b, int64(s.Indexed))
	b = binary.AppendUvarint(b, s.Base)
	b = binary.AppendUvarint(b, s.Pos)
	b = appendBytes(b, s.Seq)
	b = binary.AppendUvarint(b, s.Refs)
	if p := s.ClosedBy; p != nil {
		b = appendBytes(b, p.ID)
		b = binary.AppendUvarint(b, p.Epoch)
		b = binary.AppendUvarint(b, p.Seq)
	}
	b = binary.AppendUvarint(b, uint64(len(s.Spans)))
	for _, span := range s.Spans {
		b = binary.AppendUvarint(b, span.Incarnation)
		b = binary.AppendUvarint(b, span.From)
		b = binary.AppendUvarint(b, span.To)
	}
	if o := s.Origin; o != nil {
		b = appendBytes(b, o.Source)
		b = binary.AppendUvarint(b, o.SourceIncarnation)
		b = appendOffset(b, o.Offset)
		b = binary.AppendUvarint(b, o.SubOffset)
	}
	if s.retains() {
		b = appendRetention(b, s.Retention)
		for _, n := range [...]uint64{s.Horizon, s.Freed, s.Pinned.From, s.Pinned.To} {
			b = binary.AppendUvarint(b, n)
		}
		b = binary.AppendVarint(b, int64(s.TrimAt))
	}
	return b
}

// retains reports a stream of which something may go, or has gone, or is kept for
// forks alone.
func (s *State) retains() bool {
	return !s.Retention.IsNone() || s.Horizon|s.Freed|s.Pinned.To != 0 || s.TrimAt != 0
}

func (s *State) flags() (f byte) {
	if s.Closed {
		f |= stateClosed
	}
	if s.ClosedBy != nil {
		f |= stateClosedBy
	}
	if s.Origin != nil {
		f |= stateOrigin
		if s.Origin.InheritsLifetime {
			f |= stateInheritsLifetime
		}
	}
	if s.Deleted {
		f |= stateDeleted
	}
	if s.retains() {
		f |= stateRetention
	}
	return f
}

// DecodeState is the inverse of AppendState. The State keeps nothing of b.
func DecodeState(b []byte) (State, error) {
	d := decoder{b: b}
	if v := d.byte(); v != stateVersion {
		return State{}, unknownVersion("the state of a stream", v, stateVersion)
	}
	flags := d.byte()
	if flags&^stateFlagsKnown != 0 {
		return State{}, errTruncated
	}
	s := State{
		Incarnation: d.uvarint(),
		ContentType: d.contentType(),
		Lifetime:    d.lifetime(),
		CreatedAt:   Time(d.varint()),
		Deadline:    Time(d.varint()),
		Indexed:     Time(d.varint()),
		Base:        d.uvarint(),
		Pos:         d.uvarint(),
		Seq:         d.string(),
		Refs:        d.uvarint(),
		Closed:      flags&stateClosed != 0,
		Deleted:     flags&stateDeleted != 0,
	}
	if flags&stateClosedBy != 0 {
		s.ClosedBy = &Producer{ID: d.string(), Epoch: d.uvarint(), Seq: d.uvarint()}
	}
	if n := d.count(); n > 0 {
		s.Spans = make([]Span, n)
		for i := range s.Spans {
			s.Spans[i] = Span{Incarnation: d.uvarint(), From: d.uvarint(), To: d.uvarint()}
		}
	}
	if flags&stateOrigin != 0 {
		s.Origin = &Origin{Source: Name(d.string()), SourceIncarnation: d.uvarint(), Offset: d.offset(), SubOffset: d.uvarint(),
			InheritsLifetime: flags&stateInheritsLifetime != 0}
	}
	if flags&stateRetention != 0 {
		s.Retention = d.retention()
		s.Horizon, s.Freed, s.Pinned, s.TrimAt = d.uvarint(), d.uvarint(), Range{d.uvarint(), d.uvarint()}, Time(d.varint())
	}
	return s, d.done()
}

// AppendProducerState appends the stored form of p to b.
func AppendProducerState(b []byte, p ProducerState) []byte {
	b = binary.AppendUvarint(b, p.Epoch)
	return binary.AppendUvarint(b, p.LastSeq)
}

// DecodeProducerState is the inverse of AppendProducerState.
func DecodeProducerState(b []byte) (ProducerState, error) {
	d := decoder{b: b}
	p := ProducerState{Epoch: d.uvarint(), LastSeq: d.uvarint()}
	return p, d.done()
}
