package fsm

import (
	"container/list"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"mainstem/storage"
	"mainstem/stream"
)

const headShards = 64

// heads is what readers see: the committed state of streams, and of those that
// are followed the tail. A stream that is not held is read from the copy.
type heads struct {
	engine *storage.Engine
	seed   maphash.Seed
	tails  atomic.Int64 // how many there are: without any, a commit costs nothing more
	shards [headShards]headShard
}

type headShard struct {
	mu       sync.RWMutex
	states   map[stream.Name]*stream.State
	tails    map[stream.Name]*tail
	recent   list.List // of *tail with pieces, the one that grew last at the back
	cost     int64     // of all pieces
	moves    uint64    // grows with every publication
	max      int       // of states
	costMost int64
}

// published is a stream after a commit; State is nil when it is gone.
type published struct {
	name  stream.Name
	state *stream.State
}

// view is what a reader sees of one stream at one moment.
type view struct {
	state  *stream.State
	pieces []*piece
	bell   <-chan struct{}
}

func newHeads(engine *storage.Engine, max int, tailBytes int64) *heads {
	h := &heads{engine: engine, seed: maphash.MakeSeed()}
	for i := range h.shards {
		s := &h.shards[i]
		s.states = map[stream.Name]*stream.State{}
		s.tails = map[stream.Name]*tail{}
		s.max, s.costMost = max/headShards+1, tailBytes/headShards
	}
	return h
}

func (h *heads) shard(name stream.Name) *headShard {
	return &h.shards[maphash.String(h.seed, string(name))%headShards]
}

// get returns the committed state of a stream, nil when there is none.
func (h *heads) get(name stream.Name) (*stream.State, error) {
	v, err := h.look(name)
	return v.state, err
}

// look returns what is known of a stream. If it is followed, there is a bell: it
// is taken under the lock that looks, and before the copy is asked, so that no
// change can fall between.
func (h *heads) look(name stream.Name) (v view, err error) {
	s := h.shard(name)
	s.mu.RLock()
	v, held := s.view(name)
	moves := s.moves
	s.mu.RUnlock()
	if !held {
		v.state, err = h.load(s, name, moves)
	}
	return v, err
}

// view wants the lock. held is false when the copy must be asked for the state.
func (s *headShard) view(name stream.Name) (v view, held bool) {
	if t := s.tails[name]; t != nil {
		v.pieces, v.bell = t.pieces, t.bell
		if t.unread.Load() != 0 {
			t.unread.Store(0)
		}
	}
	v.state, held = s.states[name]
	return v, held
}

// load reads a state from the copy. moves is how many publications there were
// before.
func (h *heads) load(s *headShard, name stream.Name, moves uint64) (*stream.State, error) {
	state, err := h.engine.Stream(name)
	if err != nil || state == nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moves == moves { // else what was read may be old by now
		s.keep(name, state)
	}
	return state, nil
}

func (s *headShard) keep(name stream.Name, state *stream.State) {
	if len(s.states) >= s.max {
		clear(s.states)
	}
	s.states[name] = state
}

// publish shows what was committed, with what runs have added to it, and wakes
// those who wait for it.
func (h *heads) publish(changed []published, runs []run) {
	added := h.pieces(changed, runs)
	for _, p := range changed {
		s := h.shard(p.name)
		s.mu.Lock()
		s.moves++
		if p.state != nil {
			s.keep(p.name, p.state)
		} else {
			delete(s.states, p.name)
		}
		var bell chan struct{}
		if t := s.tails[p.name]; t != nil {
			bell = h.advance(s, t, p.state, added)
		}
		s.mu.Unlock()
		ring(bell)
	}
}

// forget drops all that is held, after the copy was replaced, and wakes
// everyone.
func (h *heads) forget() {
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		s.moves++
		clear(s.states)
		var bells []chan struct{}
		for _, t := range s.tails {
			s.empty(t)
			bells = append(bells, t.takeBell())
			h.release(s, t)
		}
		s.mu.Unlock()
		for _, bell := range bells {
			ring(bell)
		}
	}
}
