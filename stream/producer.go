package stream

import "strconv"

// IntegerMax is the largest epoch or sequence number (§5.2.1): 2^53-1, so that
// JavaScript clients can hold it.
const IntegerMax = 1<<53 - 1

const producerIDBytesMax = 1024

// ParseInteger parses ^[0-9]+$ up to IntegerMax.
func ParseInteger(s string) (uint64, bool) {
	if s == "" {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= IntegerMax
}

// Producer is the claim an idempotent writer makes about one request.
type Producer struct {
	ID         string
	Epoch, Seq uint64
}

// ParseProducer parses the three producer headers; nil means absent. It
// returns nil when all are absent.
func ParseProducer(id, epoch, seq *string) (*Producer, error) {
	if id == nil && epoch == nil && seq == nil {
		return nil, nil
	}
	if id == nil || epoch == nil || seq == nil {
		return nil, malformed("Producer-Id, Producer-Epoch and Producer-Seq", "are not all present", "send all three or none")
	}
	if *id == "" {
		return nil, malformed("Producer-Id", "is empty", "send a stable identifier of the producer")
	}
	if len(*id) > producerIDBytesMax {
		return nil, malformed("Producer-Id", "is longer than 1024 bytes", "send a shorter identifier")
	}
	e, ok := ParseInteger(*epoch)
	if !ok {
		return nil, malformed("Producer-Epoch", "is not a whole number from 0 to 9007199254740991", "send digits only")
	}
	s, ok := ParseInteger(*seq)
	if !ok {
		return nil, malformed("Producer-Seq", "is not a whole number from 0 to 9007199254740991", "send digits only")
	}
	return &Producer{ID: *id, Epoch: e, Seq: s}, nil
}

// ProducerState is what a stream remembers of one producer.
type ProducerState struct{ Epoch, LastSeq uint64 }

// judge applies §5.2.1. known is false for a producer never seen here.
func (p Producer) judge(last ProducerState, known bool) (duplicate bool, no *Rejection) {
	switch {
	case !known && p.Seq != 0:
		return false, &Rejection{Code: ProducerGap, Expected: 0, Received: p.Seq}
	case !known:
		return false, nil
	case p.Epoch < last.Epoch:
		return false, &Rejection{Code: ProducerFenced, Epoch: last.Epoch}
	case p.Epoch > last.Epoch && p.Seq != 0:
		return false, &Rejection{Code: EpochNotAtZero, Epoch: last.Epoch}
	case p.Epoch > last.Epoch:
		return false, nil
	case p.Seq <= last.LastSeq: // duplicates win over gaps and over Stream-Seq
		return true, nil
	case p.Seq > last.LastSeq+1:
		return false, &Rejection{Code: ProducerGap, Expected: last.LastSeq + 1, Received: p.Seq}
	}
	return false, nil
}
