package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// hintPause is the time before a refused hint is sent again: the follower
	// has not stored the entry yet.
	hintPause = 300 * time.Microsecond
	// hintTries bounds how often; after that raft's CommitTimeout does it.
	hintTries = 100
)

// hint says that the entry at Index, which was proposed in Term, is committed.
type hint struct{ Index, Term uint64 }

// hinter tells followers what is committed as soon as the leader has applied it.
// raft itself tells them only with the next entries or after CommitTimeout.
//
// A hint is an AppendEntries without entries, whose term is that of the entry
// itself, taken while this node led that term. It is never raft's current term:
// after stepping down that would claim another's leadership.
//
// A hint costs both sides about a third of what an entry of one append does, so it
// is only sent to whom it helps: a node that said it has live readers, or that has
// just fenced a read, and will wait for its copy.
type hinter struct {
	servers func() []raft.Server
	watched func(id raft.ServerID) bool // may have live readers
	// askedLife is for how long a peer gets hints after it has fenced a read: until
	// its reports tell of a live reader that began with it.
	askedLife time.Duration
	self      raft.ServerID
	spawn     func(func()) bool
	ctx       context.Context

	mu     sync.Mutex // guards what follows
	send   func(to raft.Server, h hint) (done bool, err error)
	newest hint
	peers  map[raft.ServerID]chan struct{} // wakes the peer's goroutine
	asked  map[raft.ServerID]time.Time     // when it last fenced a read
}

// note makes h the newest hint and wakes the senders. h was committed in a term
// that this node led at this moment.
func (t *hinter) note(h hint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.Index <= t.newest.Index {
		return
	}
	t.newest = h
	for _, s := range t.servers() {
		if s.ID != t.self && (time.Since(t.asked[s.ID]) < t.askedLife || t.watched(s.ID)) {
			t.wake(s.ID)
		}
	}
}

// ask says that a peer has fenced a read.
func (t *hinter) ask(id raft.ServerID) {
	if !hasServer(t.servers(), string(id)) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked[id] = time.Now()
	if t.newest.Index > 0 {
		t.wake(id)
	}
}

// wake lets a peer be sent the newest hint. The lock is held.
func (t *hinter) wake(id raft.ServerID) {
	wake := t.peers[id]
	if wake == nil {
		wake = make(chan struct{}, 1)
		if !t.spawn(func() { t.run(id, wake) }) {
			return
		}
		t.peers[id] = wake
	}
	select {
	case wake <- struct{}{}:
	default:
	}
}

// run sends the newest hint to one peer, one at a time, until the node closes or
// the peer is no member any more.
func (t *hinter) run(id raft.ServerID, wake chan struct{}) {
	var sent uint64
	for {
		select {
		case <-wake:
		case <-t.ctx.Done():
			return
		}
		for try := 0; try < hintTries; try++ {
			to, ok := t.lookUp(id)
			if !ok {
				return
			}
			h, send := t.latest()
			if h.Index <= sent {
				break
			}
			done, err := send(to, h)
			if err != nil || done {
				sent = h.Index // after an error raft's own messages do it
				break
			}
			select {
			case <-time.After(hintPause):
			case <-t.ctx.Done():
				return
			}
		}
	}
}

func (t *hinter) latest() (hint, func(raft.Server, hint) (bool, error)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.newest, t.send
}

// lookUp finds a peer's entry in the configuration, and forgets the peer when
// there is none.
func (t *hinter) lookUp(id raft.ServerID) (raft.Server, bool) {
	for _, s := range t.servers() {
		if s.ID == id {
			return s, true
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.peers, id)
	delete(t.asked, id)
	return raft.Server{}, false
}

// AppliedHook is to be called after each applied batch with the last entry's
// index and the entry's own term. It does not block.
func (n *Node) AppliedHook(index, term uint64) {
	s := n.seat.Load()
	if s == nil || index == 0 {
		return
	}
	if led, ok := s.leads(); !ok || led != term {
		return
	}
	// The next entries carry the commit index themselves.
	if s.raft.LastIndex() > index || n.proposer.queued() {
		return
	}
	n.hinter.note(hint{Index: index, Term: term})
}

// deliverHint hands one request to raft's transport.
type deliverHint func(*seat, raft.Server, *raft.AppendEntriesRequest, *raft.AppendEntriesResponse) error

func byTransport(s *seat, to raft.Server, q *raft.AppendEntriesRequest, a *raft.AppendEntriesResponse) error {
	return s.transport.NetworkTransport.AppendEntries(to.ID, to.Address, q, a)
}

// hintSender returns what sends a hint to one peer. It reports whether the peer
// has stored the entry and so has taken the hint, or will never take it.
func (n *Node) hintSender(deliver deliverHint) func(raft.Server, hint) (bool, error) {
	return func(to raft.Server, h hint) (done bool, err error) {
		s := n.seat.Load()
		if led, ok := s.leads(); !ok || led != h.Term {
			return true, nil // stepped down: what is left of the hint is void
		}
		var answer raft.AppendEntriesResponse
		err = deliver(s, to, hintRequest(n.cfg.NodeID, s.transport.LocalAddr(), h), &answer)
		if err != nil {
			return false, err
		}
		return answer.Success || answer.Term > h.Term, nil
	}
}

func hintRequest(id string, addr raft.ServerAddress, h hint) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{
			ProtocolVersion: raft.ProtocolVersionMax,
			ID:              []byte(id),
			Addr:            []byte(addr),
		},
		Term:              h.Term,
		Leader:            []byte(addr),
		PrevLogEntry:      h.Index,
		PrevLogTerm:       h.Term,
		LeaderCommitIndex: h.Index,
	}
}

// watchedAt reports whether a member may have live readers: it has said so, or has
// not been heard of lately.
func (n *Node) watchedAt(id raft.ServerID) bool {
	m, seen := n.members.get(string(id))
	return !seen || !m.Unwatched || !n.members.fresh(m)
}
