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

// SpaceMetrics shows the room on the disk. A nil *SpaceMetrics shows nothing.
type SpaceMetrics struct{ free, total, watermark, ballast prometheus.Gauge }

// NewSpaceMetrics registers the metrics of a Space, once per registry.
func NewSpaceMetrics(r prometheus.Registerer) *SpaceMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		r.MustRegister(g)
		return g
	}
	return &SpaceMetrics{
		free:      gauge("mainstem_disk_free_bytes", "Free bytes on the disk of the data directory."),
		total:     gauge("mainstem_disk_total_bytes", "Size of the disk of the data directory."),
		watermark: gauge("mainstem_disk_watermark", "0 while disk space is ample, 1 below the soft mark, 2 below the hard one, where data is refused."),
		ballast:   gauge("mainstem_ballast_bytes", "Bytes held back on the disk for a full one; 0 once they were given up."),
	}
}

func (m *SpaceMetrics) observe(r Room) {
	if m == nil {
		return
	}
	m.free.Set(float64(r.Free))
	m.total.Set(float64(r.Total))
	m.watermark.Set(float64(r.Level))
	m.ballast.Set(float64(r.Ballast))
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
