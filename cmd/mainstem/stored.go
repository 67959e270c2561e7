package main

import "github.com/prometheus/client_golang/prometheus"

// showStored shows what limits.max_total_bytes counts.
func (n *node) showStored() {
	stored := func() float64 { return float64(n.engine.Globals().Stored) }
	n.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mainstem_stored_bytes", Help: "Bytes that all streams hold, as this node's copy has them; what limits.max_total_bytes bounds."}, stored))
}
