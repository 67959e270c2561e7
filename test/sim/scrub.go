package sim

import (
	"context"

	"mainstem/cluster"
	"mainstem/scrub"
)

func (n *Node) newScrubber(p parts) (err error) {
	cfg := scrub.Config{NodeID: p.id, Stores: p.disk.checks, Quarantine: n.Health, Now: p.clock.Now, Log: p.opts.Log, Metrics: n.Metrics}
	if p.opts.Scrub != nil {
		p.opts.Scrub(&cfg)
	}
	n.scrub, err = scrub.New(cfg)
	return err
}

// members are those of a cluster as the scrub wants to see them.
func (n *Node) members(c *cluster.Node) func() []scrub.Member {
	return func() (members []scrub.Member) {
		for _, m := range c.Status(context.Background()).Members {
			members = append(members, scrub.Member{ID: m.NodeID, Voter: m.Voter, Reachable: m.Reachable, Note: m.Note})
		}
		return members
	}
}
