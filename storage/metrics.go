package storage

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The values of the store label.
const (
	storeCopy      = "copy"
	storeLog       = "log"
	storeStable    = "stable"
	storeSnapshots = "snapshots"
)

// Metrics counts what the stores of one node do. A nil *Metrics counts nothing.
type Metrics struct {
	fsync       *prometheus.HistogramVec
	corruptions *prometheus.CounterVec
}

// NewMetrics registers the metrics of this package, once per registry.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		fsync: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mainstem_fsync_seconds",
			Help: "Time until a write was durable, by store.",
			// 25 µs to 1.6 s: a good disk syncs in 0.1 ms, a bad one in a second.
			Buckets: prometheus.ExponentialBuckets(25e-6, 2, 17),
		}, []string{"store"}),
		corruptions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mainstem_corruption_total",
			Help: "Damaged records, files or blocks that were detected, by store.",
		}, []string{"store"}),
	}
	r.MustRegister(m.fsync, m.corruptions)
	for _, store := range [...]string{storeCopy, storeLog, storeStable, storeSnapshots} {
		m.corruptions.WithLabelValues(store) // shown as 0 from the start, for alerts
	}
	return m
}

func (m *Metrics) synced(store string, since time.Time) {
	if m != nil {
		m.fsync.WithLabelValues(store).Observe(time.Since(since).Seconds())
	}
}

func (m *Metrics) corruption(store string) {
	if m != nil {
		m.corruptions.WithLabelValues(store).Inc()
	}
}
