package stream

import "strconv"

// Code names a rule that can refuse a request. Codes cross the wire between
// nodes: append only, never reorder.
type Code uint8

const (
	_ Code = iota
	Malformed
	NameTooLong
	BadOffset
	BadJSON
	EmptyBody
	EmptyArray
	MissingContentType
	NotFound
	Gone            // soft-deleted, or an offset of an earlier life
	ConfigMismatch  // the stream exists with another configuration
	PathSoftDeleted // re-creation of a soft-deleted path
	ContentTypeMismatch
	SeqConflict
	Closed
	ProducerFenced
	EpochNotAtZero
	ProducerGap
	ForkSourceNotFound
	ForkSourceDeleted
	ForkTypeMismatch
	ForkOffsetBeyondTail
	BadSubOffset
	StreamTooLong
	OutcomeUnknown // a repeat that nobody can tell from a first any more
	TailMoved      // If-Match names another offset than the tail
	Trimmed        // an offset before the horizon
	StreamFull     // by Limits
	StoreFull      // by Limits
	codeEnd
)

var codeText = [codeEnd]string{
	Malformed:            "the request is malformed",
	NameTooLong:          "the stream name is too long",
	BadOffset:            "the offset is not one that this stream returned; read from -1, or from a Stream-Next-Offset",
	BadJSON:              "the body is not valid JSON; this stream holds application/json",
	EmptyBody:            "the body is empty; send data, or Stream-Closed: true to close without data",
	EmptyArray:           "the body is an empty JSON array, which appends nothing; send at least one element",
	MissingContentType:   "the request has a body but no Content-Type; send the stream's content type",
	NotFound:             "there is no stream at this path; create it with PUT",
	Gone:                 "the stream was deleted; its data is kept only for the forks that refer to it",
	ConfigMismatch:       "a stream with another configuration exists at this path; compare content type, lifetime, closure and fork headers, or choose another path",
	PathSoftDeleted:      "a deleted stream at this path is still needed by its forks; choose another path, or delete the forks first",
	ContentTypeMismatch:  "the Content-Type differs from the stream's; HEAD shows the stream's type",
	SeqConflict:          "Stream-Seq is not greater than the last one accepted; another writer may be ahead of this one",
	Closed:               "the stream is closed; nothing can be appended to it any more",
	ProducerFenced:       "the producer epoch is stale; another instance took over. Claim it with a higher epoch and sequence 0, if you may",
	EpochNotAtZero:       "a new producer epoch must begin with sequence 0",
	ProducerGap:          "the producer sequence leaves a gap; send the expected sequence first",
	ForkSourceNotFound:   "the stream named by Stream-Forked-From does not exist",
	ForkSourceDeleted:    "the stream named by Stream-Forked-From was deleted and can no longer be forked",
	ForkTypeMismatch:     "the Content-Type differs from that of the fork's source; leave it out to inherit it",
	ForkOffsetBeyondTail: "Stream-Fork-Offset lies beyond the tail of the source",
	BadSubOffset:         "Stream-Fork-Sub-Offset reaches past the append that follows Stream-Fork-Offset",
	OutcomeUnknown:       "outcome unknown: the request may or may not have been carried out; read the stream before sending it again",
	TailMoved:            "the stream does not end at the offset that If-Match names; Stream-Next-Offset says where it ends: read what came, and try again from there",
	Trimmed:              "what followed this offset is not kept any more; Stream-Retention-Horizon says where the stream begins now: go on from there, or from -1",
	StreamFull:           "the stream holds as much as one stream may here (limits.max_stream_bytes); continue in a new stream",
	StoreFull:            "all streams together hold as much as they may here (limits.max_total_bytes); delete streams, or ask the operator for more",
	StreamTooLong:        "the stream has reached the largest position an offset can hold; continue in a new stream",
}

// Rejection is the protocol saying no. It is an answer, not a fault: it is
// replicated, forwarded and tested like any other outcome.
type Rejection struct {
	Code               Code
	Detail             string // finer words; "" means the code's own
	Next               Offset // tail of a closed stream, or of one that If-Match does not fit; horizon of a trimmed one
	Epoch              uint64 // current epoch of a fenced producer
	Expected, Received uint64 // of a producer gap
}

// Error says what was refused, why, and what to do.
func (r *Rejection) Error() string {
	switch {
	case r.Detail != "":
		return r.Detail
	case r.Code == ProducerGap:
		return codeText[r.Code] + " (expected " + strconv.FormatUint(r.Expected, 10) +
			", received " + strconv.FormatUint(r.Received, 10) + ")"
	case r.Code < codeEnd:
		return codeText[r.Code]
	}
	return "refused with code " + strconv.Itoa(int(r.Code))
}

// Is lets errors.Is(err, &Rejection{Code: Closed}) match on the code alone.
func (r *Rejection) Is(target error) bool {
	t, ok := target.(*Rejection)
	return ok && t.Code == r.Code
}

func malformed(what, why, mend string) *Rejection {
	return &Rejection{Code: Malformed, Detail: what + " " + why + "; " + mend}
}
