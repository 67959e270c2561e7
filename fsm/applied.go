package fsm

import (
	"context"
	"sync"
)

// applied is an index that grows, and a bell for those who wait for it.
type applied struct {
	mu   sync.Mutex
	at   uint64
	bell chan struct{} // made by the first waiter, closed by reach
}

func newApplied(at uint64) *applied { return &applied{at: at} }

func (a *applied) index() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at
}

func (a *applied) reach(index uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = index
	if a.bell != nil {
		close(a.bell)
		a.bell = nil
	}
}

func (a *applied) wait(ctx context.Context, index uint64) error {
	for {
		a.mu.Lock()
		if a.at >= index {
			a.mu.Unlock()
			return nil
		}
		if a.bell == nil {
			a.bell = make(chan struct{})
		}
		bell := a.bell
		a.mu.Unlock()
		select {
		case <-bell:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
