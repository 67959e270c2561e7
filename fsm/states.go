package fsm

import (
	"fmt"

	"mainstem/storage"
	"mainstem/stream"
)

// state is a stream as the writer sees it, committed or not.
type state struct {
	name    stream.Name
	current *stream.State // nil when there is none; replaced, never written
	indexed stream.Time   // where the expiry index on disk has it
	trimAt  stream.Time   // where the retention index on disk has it
	dirty   bool          // changed since the last commit
	noted   bool          // more than its tail has changed in the current entry
	owed    bool          // more than its tail has changed since the last commit
	owes    *stream.State // what it was at the end of the last such entry
	links   *linkList     // of subscriptions; nil when nobody has asked
}

// states caches streams in two generations: when the young one is full it
// becomes the old one, and what is not used again goes with the next change.
type states struct {
	engine     *storage.Engine
	max        int // of each generation
	young, old map[stream.Name]*state
}

func newStates(engine *storage.Engine, max int) *states {
	return &states{engine: engine, max: max, young: map[stream.Name]*state{}}
}

func (c *states) get(name stream.Name) *state {
	if s, ok := c.young[name]; ok {
		return s
	}
	s, ok := c.old[name]
	if !ok {
		s = &state{name: name, current: load(c.engine, name)}
		if s.current != nil {
			s.indexed, s.trimAt = s.current.Indexed, s.current.TrimAt
		}
	}
	c.young[name] = s
	return s
}

// trim is called after a commit, when nothing is dirty.
func (c *states) trim() {
	if len(c.young) >= c.max {
		c.young, c.old = make(map[stream.Name]*state), c.young
	}
}

// load reads a stream from the copy. A copy that cannot be read must not
// decide, so failure panics.
func load(engine *storage.Engine, name stream.Name) *stream.State {
	s, err := engine.Stream(name)
	if err != nil {
		panic(fmt.Sprintf("fsm: %v", err))
	}
	return s
}
