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
	freed       prometheus.Counter

	snapshotSeconds               prometheus.Histogram
	snapshotBytes, snapshotLatest prometheus.Gauge
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
		freed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mainstem_retention_freed_bytes_total",
			Help: "Bytes of streams that were removed from this node's copy because they are beyond a horizon.",
		}),
	}
	m.snapshotSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "mainstem_snapshot_seconds",
		Help: "Time that a snapshot took, made here or received.",
		// 1 ms to 17 min: hard links here, gigabytes over a network.
		Buckets: prometheus.ExponentialBuckets(1e-3, 4, 11),
	})
	m.snapshotBytes = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mainstem_snapshot_size_bytes", Help: "Size of the newest snapshot; 0 before the first.",
	})
	m.snapshotLatest = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mainstem_snapshot_last_timestamp_seconds",
		Help: "When the newest snapshot of this process was complete, in Unix time; 0 before the first.",
	})
	r.MustRegister(m.fsync, m.corruptions, m.freed, m.snapshotSeconds, m.snapshotBytes, m.snapshotLatest)
	for _, store := range [...]string{storeCopy, storeLog, storeStable, storeSnapshots} {
		m.corruptions.WithLabelValues(store) // shown as 0 from the start, for alerts
	}
	return m
}

func (m *Metrics) freedBytes(n uint64) {
	if m != nil {
		m.freed.Add(float64(n))
	}
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

// snapshot counts one that is complete.
func (m *Metrics) snapshot(since time.Time, size int64) {
	if m != nil {
		m.snapshotSeconds.Observe(time.Since(since).Seconds())
		m.snapshotBytes.Set(float64(size))
		m.snapshotLatest.SetToCurrentTime()
	}
}

// found notes a snapshot that was there at the start.
func (m *Metrics) found(size int64) {
	if m != nil {
		m.snapshotBytes.Set(float64(size))
	}
}
