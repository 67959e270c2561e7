package cluster

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// memberMetrics shows each other member as this node sees it, at each scrape: what
// has left is shown no more. Operators name members, clients cannot.
type memberMetrics struct {
	node                   *Node
	reachable, lag, offset *prometheus.Desc
}

func newMemberMetrics(n *Node) memberMetrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"member"}, nil)
	}
	return memberMetrics{
		node:      n,
		reachable: desc("mainstem_member_reachable", "1 while another member has reported to this node lately."),
		lag:       desc("mainstem_member_lag_entries", "Log entries that a member has not applied, of those that the most advanced one has."),
		offset:    desc("mainstem_member_clock_offset_seconds", "How far the clock of another member is ahead of this node's, by its last report."),
	}
}

// Describe implements prometheus.Collector.
func (m memberMetrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.reachable
	out <- m.lag
	out <- m.offset
}

// Collect implements prometheus.Collector.
func (m memberMetrics) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, member string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, member)
	}
	own := m.node.cfg.NodeID
	offsets := m.node.clock.offsets()
	for _, member := range m.node.Status(context.Background()).Members {
		gauge(m.lag, float64(member.Lag), member.NodeID)
		if member.NodeID == own {
			continue
		}
		gauge(m.reachable, oneIf(member.Reachable), member.NodeID)
		if offset, known := offsets[member.NodeID]; known && member.Reachable {
			gauge(m.offset, offset.Seconds(), member.NodeID)
		}
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// offsets is how far the clock of each peer was ahead of this node's when it was
// last read.
func (c *clock) offsets() map[string]time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	own, out := c.now(), map[string]time.Duration{}
	for id, r := range c.peers {
		if age := time.Since(r.at); age <= readingLife {
			out[id] = r.clock.Add(age).Sub(own)
		}
	}
	return out
}
