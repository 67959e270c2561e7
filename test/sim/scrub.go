package sim

import "mainstem/scrub"

func (n *Node) newScrubber(p parts) (err error) {
	cfg := scrub.Config{NodeID: p.id, Stores: p.disk.checks, Quarantine: n.Health, Now: p.clock.Now, Log: p.opts.Log, Metrics: n.Metrics}
	if p.opts.Scrub != nil {
		p.opts.Scrub(&cfg)
	}
	n.scrub, err = scrub.New(cfg)
	return err
}
