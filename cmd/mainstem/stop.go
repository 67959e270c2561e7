package main

import (
	"context"
	"fmt"
	"time"
)

// requestsShare is the part of the shutdown timeout that requests may take; the
// rest is for closing what they used.
const requestsShare = 0.6

// transferTimeout bounds the wait for another node to lead.
const transferTimeout = 5 * time.Second

// stop lets clients finish before what they need is closed: not ready any more,
// live reads ended, leadership handed over, requests finished.
func (n *node) stop() {
	begin, limit := time.Now(), n.cfg.server.shutdownTimeout
	n.closeBy = begin.Add(limit)
	ctx, cancel := context.WithDeadline(context.Background(), begin.Add(time.Duration(float64(limit)*requestsShare)))
	defer cancel()
	n.log.Info("stopping", "node", n.cfg.cluster.nodeID, "within", limit)
	if n.api != nil {
		n.api.Drain()
	}
	if n.cluster != nil {
		n.handOver(ctx)
	}
	if err := n.server.Shutdown(ctx); err != nil {
		n.log.Warn("requests were cut at the shutdown timeout", "err", err)
		_ = n.server.Close()
	}
}

// handOver makes another node lead, if one can within transferTimeout. If none
// can, closing the cluster tries again and says so.
func (n *node) handOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	if err := n.cluster.TransferLeadership(ctx); err != nil {
		n.log.Debug("leadership stays until the end", "err", err)
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
			n.log.Info("stopped", "node", n.cfg.cluster.nodeID)
		}
		return err
	case <-time.After(time.Until(n.closeBy)):
		return fmt.Errorf("not all was closed within --shutdown-timeout %s; what was acknowledged is on disk", n.cfg.server.shutdownTimeout)
	}
}
