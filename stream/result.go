package stream

import "encoding/binary"

// Outcome is the protocol saying yes to a command.
type Outcome struct {
	Next        Offset // tail after the command
	Closed      bool
	Created     bool // a new stream, not one that already matched
	Duplicate   bool // a repeat of what was accepted before
	ContentType ContentType
	Producer    *ProducerState // highest accepted, when the request had a producer
	Session     uint64         // the one opened
	Horizon     Offset         // after a Trim: before it nothing can be read any more
	Answer      []byte         // to a Control, in the words of its own rules
}

// Result is an Outcome, or the Rejection in its place.
type Result struct {
	Outcome   Outcome
	Rejection *Rejection
}

const (
	resultRejected = 1 << iota
	resultClosed
	resultCreated
	resultDuplicate
	resultProducer
	resultSession
	resultAnswer
	resultHorizon
)

// AppendResult appends the wire form of r, which goes back to the node that
// forwarded the command.
func AppendResult(b []byte, r Result) []byte {
	if no := r.Rejection; no != nil {
		b = append(b, resultRejected, byte(no.Code))
		b = appendBytes(b, no.Detail)
		b = appendOffset(b, no.Next)
		b = binary.AppendUvarint(b, no.Epoch)
		b = binary.AppendUvarint(b, no.Expected)
		return binary.AppendUvarint(b, no.Received)
	}
	o := r.Outcome
	var flags byte
	if o.Closed {
		flags |= resultClosed
	}
	if o.Created {
		flags |= resultCreated
	}
	if o.Duplicate {
		flags |= resultDuplicate
	}
	if o.Producer != nil {
		flags |= resultProducer
	}
	if o.Session != 0 {
		flags |= resultSession
	}
	if o.Answer != nil {
		flags |= resultAnswer
	}
	if !o.Horizon.IsZero() {
		flags |= resultHorizon
	}
	b = append(b, flags)
	b = appendOffset(b, o.Next)
	b = appendBytes(b, o.ContentType)
	if p := o.Producer; p != nil {
		b = binary.AppendUvarint(b, p.Epoch)
		b = binary.AppendUvarint(b, p.LastSeq)
	}
	if o.Session != 0 {
		b = binary.AppendUvarint(b, o.Session)
	}
	if o.Answer != nil {
		b = appendBytes(b, o.Answer)
	}
	if !o.Horizon.IsZero() {
		b = appendOffset(b, o.Horizon)
	}
	return b
}

// AppendResults appends the results of one envelope, in its order.
func AppendResults(b []byte, results []Result) []byte {
	b = binary.AppendUvarint(b, uint64(len(results)))
	for _, r := range results {
		b = AppendResult(b, r)
	}
	return b
}

// DecodeResults is the inverse of AppendResults.
func DecodeResults(b []byte) ([]Result, error) {
	d := decoder{b: b}
	results := d.results()
	return results, d.done()
}

func (d *decoder) results() []Result {
	results := make([]Result, d.count())
	for i := range results {
		results[i] = d.result()
	}
	return results
}

func (d *decoder) result() Result {
	flags := d.byte()
	if flags&resultRejected != 0 {
		return Result{Rejection: &Rejection{
			Code: Code(d.byte()), Detail: d.string(), Next: d.offset(),
			Epoch: d.uvarint(), Expected: d.uvarint(), Received: d.uvarint(),
		}}
	}
	o := Outcome{
		Closed:    flags&resultClosed != 0,
		Created:   flags&resultCreated != 0,
		Duplicate: flags&resultDuplicate != 0,
		Next:      d.offset(),
	}
	o.ContentType = d.contentType()
	if flags&resultProducer != 0 {
		o.Producer = &ProducerState{Epoch: d.uvarint(), LastSeq: d.uvarint()}
	}
	if flags&resultSession != 0 {
		o.Session = d.uvarint()
	}
	if flags&resultAnswer != 0 {
		o.Answer = append([]byte{}, d.bytes()...) // outlives what it was read from
	}
	if flags&resultHorizon != 0 {
		o.Horizon = d.offset()
	}
	return Result{Outcome: o}
}
