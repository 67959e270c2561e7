package cluster

import (
	"sync"

	"golang.org/x/sync/errgroup"
)

// group holds goroutines that its owner's Close waits for.
type group struct {
	mu     sync.Mutex // guards closed, and that no Go races with wait
	closed bool
	g      errgroup.Group
}

// spawn runs f, or reports false after wait has begun.
func (g *group) spawn(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.g.Go(func() error { f(); return nil })
	return true
}

// shut refuses further goroutines.
func (g *group) shut() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
}

// wait refuses further goroutines and returns when all have ended.
func (g *group) wait() {
	g.shut()
	g.g.Wait()
}
