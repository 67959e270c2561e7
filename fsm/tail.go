package fsm

import (
	"container/list"
	"slices"
	"sync/atomic"

	"mainstem/stream"
)

const (
	// pieceOverhead is what a piece takes beside its bytes.
	pieceOverhead = 512
	// unreadMax is how many changes of a stream are kept for nobody: between two
	// polls of a reader nobody follows.
	unreadMax = 256
)

// tail is what those who follow a stream share: a bell that rings at its next
// change, and its latest data in memory. It outlives its last follower for a
// while, since one that polls comes back.
type tail struct {
	name      stream.Name
	followers atomic.Int32  // grows under the shard's lock, for reading at least
	bell      chan struct{} // closed and replaced by the next change; there is one while there are followers
	pieces    []*piece      // adjacent, in order, of one incarnation
	cost      int64         // of the pieces
	place     *list.Element // in headShard.recent while there are pieces
	unread    atomic.Int32  // changes since somebody looked
}

// piece is what one commit has added to a stream. All who read it get the same
// bytes, and the same place for what they make of them.
type piece struct {
	incarnation uint64
	record      stream.Record
	body        [][]byte // the record's data alone
	memo        atomic.Value
}

// newPiece copies appends, which lie in the memory of whole log entries.
func newPiece(incarnation, start uint64, appends []stream.StoredAppend) (*piece, error) {
	n := 0
	for _, a := range appends {
		n += len(a.Data)
	}
	value := stream.AppendRecordHeader(make([]byte, 0, n+n/16+64), appends)
	for _, a := range appends {
		value = append(value, a.Data...)
	}
	r, err := stream.ParseRecord(start, value)
	if err != nil {
		return nil, err
	}
	return &piece{incarnation: incarnation, record: r, body: [][]byte{r.Data}}, nil
}

// cost estimates the memory of a piece, with what its readers may keep in memo:
// base64 is the longest.
func (p *piece) cost() int64 { return pieceOverhead + int64(len(p.record.Data))*5/2 }

// takeBell returns the bell that is to ring, nil for none, and hangs up the next.
// It is rung when the shard's lock is free again: those whom it wakes want that
// lock at once.
func (t *tail) takeBell() chan struct{} {
	bell := t.bell
	t.bell = nil
	if t.followers.Load() > 0 {
		t.bell = make(chan struct{})
	}
	return bell
}

// ring wakes all who wait for a change.
func ring(bell chan struct{}) {
	if bell != nil {
		close(bell)
	}
}

// endsAt reports that the pieces are of an incarnation and end at a position.
func (t *tail) endsAt(incarnation, end uint64) bool {
	if len(t.pieces) == 0 {
		return false
	}
	last := t.pieces[len(t.pieces)-1]
	return last.incarnation == incarnation && last.record.End() == end
}

// shorten drops the oldest pieces until they cost at most most. Others may be
// reading the slice, so it is replaced and not changed.
func (t *tail) shorten(most int64) {
	i := 0
	for ; i < len(t.pieces) && t.cost > most; i++ {
		t.cost -= t.pieces[i].cost()
	}
	t.pieces = slices.Clone(t.pieces[i:])
}

// find returns the index of the piece that holds the data after pos.
func find(pieces []*piece, incarnation, pos uint64) (i int, ok bool) {
	last := len(pieces) - 1
	if last < 0 || pieces[0].incarnation != incarnation || pos < pieces[0].record.Start || pos >= pieces[last].record.End() {
		return 0, false
	}
	if pos >= pieces[last].record.Start { // most are there
		return last, true
	}
	return slices.BinarySearchFunc(pieces, pos, func(p *piece, pos uint64) int {
		switch {
		case p.record.End() <= pos:
			return -1
		case p.record.Start > pos:
			return 1
		}
		return 0
	})
}
