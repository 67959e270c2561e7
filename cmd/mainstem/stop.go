package main

import (
	"context"
	"fmt"
	"time"
)

// What parts of the shutdown timeout may have passed when a step of the stop is
// cut short. The rest is for closing.
const (
	gateShare     = 0.6 // the wait for the others to do without this node
	requestsShare = 0.8 // and then for requests to finish
)

// stop lets clients finish before what they need is closed. A cluster is first
// waited for until it can do without this node, and another node leads; then
// clients are told to go elsewhere while they are still served, live readers
// end, the listener closes and what is in flight is finished.
func (n *node) stop() {
	begin, limit := time.Now(), n.cfg.Server.ShutdownTimeout
	n.closeBy = begin.Add(limit)
	part := func(share float64) (context.Context, context.CancelFunc) {
		return context.WithDeadline(context.Background(), begin.Add(time.Duration(float64(limit)*share)))
	}
	n.log.Info("stopping", "node", n.cfg.Cluster.NodeID, "within", limit)
	others := false
	if n.api != nil {
		n.api.Unlist()
	}
	if n.cluster != nil {
		gate, cancel := part(gateShare)
		others = n.cluster.Drain(gate)
		cancel()
	}
	ctx, cancel := part(requestsShare)
	defer cancel()
	if n.api != nil {
		n.drain(ctx, others)
	}
	if n.backups != nil {
		n.backups.stop()
	}
	if err := n.dismissClients(ctx); err != nil {
		n.log.Warn("requests were cut at the shutdown timeout", "err", err)
	}
}

// drain tells clients to go elsewhere, if there are others to go to, and gives
// them the time to.
func (n *node) drain(ctx context.Context, others bool) {
	if !others {
		n.api.Drain()
		return
	}
	n.log.Info("draining", "over", n.cfg.Server.DrainSpread)
	n.api.DrainWithin(n.cfg.Server.DrainSpread)
	select {
	case <-time.After(n.cfg.Server.DrainSpread):
	case <-ctx.Done():
	}
}

// close closes everything that was opened, in reverse, within what is left of
// the shutdown timeout. Cutting it short loses nothing that was acknowledged:
// the process ends, as it would by a kill.
func (n *node) close() error {
	if n.closeBy.IsZero() { // it failed before anything was served
		return n.opened.close()
	}
	closed := make(chan error, 1)
	go func() { closed <- n.opened.close() }()
	select {
	case err := <-closed:
		if err == nil {
			n.log.Info("stopped", "node", n.cfg.Cluster.NodeID)
		}
		return err
	case <-time.After(time.Until(n.closeBy)):
		return fmt.Errorf("not all was closed within --shutdown-timeout %s; what was acknowledged is on disk", n.cfg.Server.ShutdownTimeout)
	}
}
