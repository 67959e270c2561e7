package main

import (
	"context"
	"sync"
	"time"

	"mainstem/wiring"
)

// leading is what this node does while it leads: it lets streams expire, has
// copies compared, and wakes subscribers.
func (n *node) leading(ctx context.Context) {
	var leading sync.WaitGroup
	leading.Go(func() { n.machine.Sweep(ctx, wiring.SweepInterval, time.Now, n.joined.Propose) })
	leading.Go(func() { n.scrub.Lead(ctx, n.joined.Members, n.joined.Propose) })
	leading.Go(func() { n.deliverer.Lead(ctx) })
	leading.Wait()
}
