package cluster

import "context"

// turn is a lock whose holder may wait for a peer or for raft. It is a channel
// because those who wait for it give up with a context, and because virtual time
// stands still while anybody waits for a sync.Mutex.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take() { t <- struct{}{} }
func (t turn) give() { <-t }

// tryTake reports whether the turn was free.
func (t turn) tryTake() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

// takeBy is take, unless ctx ends first.
func (t turn) takeBy(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
