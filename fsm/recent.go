package fsm

import (
	"fmt"

	"mainstem/stream"
)

// follow makes sure that a stream has a tail until unfollow. All but the first and
// the last follower of a stream are out of each other's way: many come and go at
// once when it changes.
func (h *heads) follow(name stream.Name) {
	s := h.shard(name)
	s.mu.RLock()
	t := s.tails[name]
	followed := t != nil && t.bell != nil
	if followed {
		t.followers.Add(1)
	}
	s.mu.RUnlock()
	if followed {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t = s.tails[name]; t == nil {
		t = &tail{name: name}
		s.tails[name] = t
		h.tails.Add(1)
	}
	t.followers.Add(1)
	if t.bell == nil {
		t.bell = make(chan struct{})
	}
}

func (h *heads) unfollow(name stream.Name) {
	s := h.shard(name)
	s.mu.RLock()
	left := s.tails[name].followers.Add(-1)
	s.mu.RUnlock()
	if left > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tails[name]; t != nil { // else somebody came and left meanwhile
		h.release(s, t)
	}
}

// release forgets a tail that has no followers and holds nothing for others to
// come.
func (h *heads) release(s *headShard, t *tail) {
	if t.followers.Load() == 0 && t.place == nil {
		delete(s.tails, t.name)
		h.tails.Add(-1)
	}
}

// pieces copies, by incarnation, what runs have added to the changed streams
// that have a tail.
func (h *heads) pieces(changed []published, runs []run) map[uint64]*piece {
	if h.tails.Load() == 0 || len(runs) == 0 {
		return nil
	}
	var wanted map[uint64]*run
	for _, p := range changed {
		if p.state == nil || !h.hasTail(p.name) {
			continue
		}
		if wanted == nil {
			wanted = map[uint64]*run{}
		}
		wanted[p.state.Incarnation] = nil
	}
	if wanted == nil {
		return nil
	}
	for i := range runs {
		r := &runs[i]
		switch first, ok := wanted[r.incarnation]; {
		case !ok:
		case first == nil:
			wanted[r.incarnation] = &run{r.incarnation, r.start, r.appends[:len(r.appends):len(r.appends)]}
		default: // of another entry of the same commit
			first.appends = append(first.appends, r.appends...)
		}
	}
	pieces := make(map[uint64]*piece, len(wanted))
	for incarnation, r := range wanted {
		if r == nil || int64(r.bytes()) > h.shards[0].costMost {
			continue
		}
		p, err := newPiece(incarnation, r.start, r.appends)
		if err != nil {
			panic(fmt.Sprintf("fsm: a record that was just written: %v", err))
		}
		pieces[incarnation] = p
	}
	return pieces
}

func (h *heads) hasTail(name stream.Name) bool {
	s := h.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tails[name] != nil
}

// advance brings a tail to a new state of its stream and returns the bell to ring.
// It wants the lock. The pieces are adjacent and of one incarnation: what does not
// go on where they end replaces them.
func (h *heads) advance(s *headShard, t *tail, state *stream.State, added map[uint64]*piece) chan struct{} {
	if state == nil {
		s.empty(t)
	} else if p := added[state.Incarnation]; p != nil {
		if !t.endsAt(p.incarnation, p.record.Start) {
			s.empty(t)
		}
		s.push(t, p)
	}
	if t.followers.Load() == 0 && t.unread.Add(1) > unreadMax {
		s.empty(t)
	}
	bell := t.takeBell()
	h.release(s, t)
	h.shed(s)
	return bell
}

func (s *headShard) push(t *tail, p *piece) {
	t.pieces = append(t.pieces, p)
	t.cost += p.cost()
	s.cost += p.cost()
	if t.cost > s.costMost/2 {
		s.cost -= t.cost
		t.shorten(s.costMost / 4) // by half, so that it is not done at each commit
		s.cost += t.cost
	}
	switch {
	case len(t.pieces) == 0:
		s.unlist(t)
	case t.place == nil:
		t.place = s.recent.PushBack(t)
	default:
		s.recent.MoveToBack(t.place)
	}
}

// empty drops the pieces of a tail.
func (s *headShard) empty(t *tail) {
	s.cost -= t.cost
	t.pieces, t.cost = nil, 0
	s.unlist(t)
}

func (s *headShard) unlist(t *tail) {
	if t.place != nil {
		s.recent.Remove(t.place)
		t.place = nil
	}
}

// shed empties the tails that have not grown for longest until the rest is
// within bounds.
func (h *heads) shed(s *headShard) {
	for s.cost > s.costMost {
		t := s.recent.Front().Value.(*tail)
		s.empty(t)
		h.release(s, t)
	}
}
