package cluster

import "sync"

// gate counts what is under way, so that it can be shut and awaited.
type gate struct {
	mu    sync.Mutex // guards what follows
	n     int
	shut  bool
	empty chan struct{} // made by close; closed when shut and n is 0
}

// enter reports false once the gate is shut.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.n++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	if g.shut && g.n == 0 {
		close(g.empty)
	}
}

// close shuts the gate and returns a channel that is closed when nothing is
// under way any more. It is called once.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.empty = true, make(chan struct{})
	if g.n == 0 {
		close(g.empty)
	}
	return g.empty
}
