package main

import (
	"context"

	"mainstem/scrub"
	"mainstem/storage"
)

// newQuarantine is where this node's copy goes when it is found damaged.
func (n *node) newQuarantine(dir storage.Dir) *scrub.Quarantine {
	return scrub.NewQuarantine(scrub.QuarantineConfig{
		Save: func(d storage.Damage) error { return storage.SaveDamage(n.fs, dir, d) },
		Last: n.joined.lastCopy,
		Log:  n.log,
	})
}

// newScrubber checks the stores of this node, and its copy against the others'.
func (n *node) newScrubber(rest []scrub.Store) (*scrub.Scrubber, error) {
	return scrub.New(scrub.Config{
		NodeID: n.cfg.cluster.nodeID, BytesPerSecond: n.cfg.storage.scrubBytes, Interval: n.cfg.storage.scrubInterval,
		Stores:     append([]scrub.Store{{Name: "copy", Verify: n.engine.Verify}}, rest...),
		Quarantine: n.health, Log: n.log, Metrics: n.metrics,
	})
}

// members are those of the cluster as the scrub knows them; none before it is
// open.
func (l *latch) members() []scrub.Member {
	c := l.node.Load()
	if c == nil {
		return nil
	}
	var members []scrub.Member
	for _, m := range c.Status(context.Background()).Members {
		members = append(members, scrub.Member{ID: m.NodeID, Voter: m.Voter, Reachable: m.Reachable, Note: m.Note})
	}
	return members
}

// lastCopy reports that no other node is known from which the streams could be
// read, or this one be filled.
func (l *latch) lastCopy() bool {
	c := l.node.Load()
	if c == nil {
		return true
	}
	st := c.Status(context.Background())
	for _, m := range st.Members {
		if m.NodeID != st.NodeID && m.Voter && m.Reachable && m.Damage == "" {
			return false
		}
	}
	return true
}
