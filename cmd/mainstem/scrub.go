package main

import (
	"mainstem/scrub"
	"mainstem/storage"
)

// newQuarantine is where this node's copy goes when it is found damaged.
func (n *node) newQuarantine(dir storage.Dir) *scrub.Quarantine {
	return scrub.NewQuarantine(scrub.QuarantineConfig{
		Save: func(d storage.Damage) error { return storage.SaveDamage(n.fs, dir, d) },
		Last: n.joined.LastCopy,
		Log:  n.log,
	})
}

// newScrubber checks the stores of this node, and its copy against the others'.
func (n *node) newScrubber(rest []scrub.Store) (*scrub.Scrubber, error) {
	return scrub.New(scrub.Config{
		NodeID: n.cfg.Cluster.NodeID, BytesPerSecond: n.cfg.Storage.ScrubBytes, Interval: n.cfg.Storage.ScrubInterval,
		Stores:     append([]scrub.Store{{Name: "copy", Verify: n.engine.Verify}}, rest...),
		Quarantine: n.health, Log: n.log, Metrics: n.metrics,
	})
}
