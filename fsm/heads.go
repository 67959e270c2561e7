package fsm

import (
	"hash/maphash"
	"sync"

	"mainstem/storage"
	"mainstem/stream"
)

const headShards = 64

// heads is what readers see: the committed state of streams, and for each a
// bell that rings when it changes. A stream that is not held is read from the
// copy.
type heads struct {
	engine *storage.Engine
	seed   maphash.Seed
	shards [headShards]headShard
}

type headShard struct {
	mu     sync.RWMutex
	states map[stream.Name]*stream.State
	bells  map[stream.Name]*bell
	moves  uint64 // grows with every publication
	max    int
}

// published is a stream after a commit; State is nil when it is gone.
type published struct {
	name  stream.Name
	state *stream.State
}

// bell is closed, and forgotten, by the next change of its stream.
type bell struct {
	rung    chan struct{}
	waiters int
}

func newHeads(engine *storage.Engine, max int) *heads {
	h := &heads{engine: engine, seed: maphash.MakeSeed()}
	for i := range h.shards {
		h.shards[i] = headShard{
			states: map[stream.Name]*stream.State{},
			bells:  map[stream.Name]*bell{},
			max:    max/headShards + 1,
		}
	}
	return h
}

func (h *heads) shard(name stream.Name) *headShard {
	return &h.shards[maphash.String(h.seed, string(name))%headShards]
}

// get returns the committed state of a stream, nil when there is none.
func (h *heads) get(name stream.Name) (*stream.State, error) {
	s := h.shard(name)
	s.mu.RLock()
	state, held := s.states[name]
	moves := s.moves
	s.mu.RUnlock()
	if held {
		return state, nil
	}
	state, err := read(h.engine, name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moves == moves && state != nil { // else what was read may be old by now
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

// publish shows what was committed and wakes those who wait for it.
func (h *heads) publish(changed []published) {
	for _, p := range changed {
		s := h.shard(p.name)
		s.mu.Lock()
		s.moves++
		if p.state != nil {
			s.keep(p.name, p.state)
		} else {
			delete(s.states, p.name)
		}
		if b := s.bells[p.name]; b != nil {
			close(b.rung)
			delete(s.bells, p.name)
		}
		s.mu.Unlock()
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
		for _, b := range s.bells {
			close(b.rung)
		}
		clear(s.bells)
		s.mu.Unlock()
	}
}

// listen returns the bell of a stream. Take it first and look after: then no
// change can fall between. Every listen wants its leave.
func (h *heads) listen(name stream.Name) *bell {
	s := h.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bells[name]
	if b == nil {
		b = &bell{rung: make(chan struct{})}
		s.bells[name] = b
	}
	b.waiters++
	return b
}

// leave forgets a bell that nobody listens to any more.
func (h *heads) leave(name stream.Name, b *bell) {
	s := h.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.waiters--; b.waiters == 0 && s.bells[name] == b {
		delete(s.bells, name)
	}
}
