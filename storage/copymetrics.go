package storage

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// copyMetrics shows what pebble says of the copy, at each scrape. Its counters
// begin anew when a snapshot replaces the copy.
type copyMetrics struct {
	engine  *Engine
	figures []copyFigure
}

type copyFigure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*pebble.Metrics) float64
}

// NewCopyMetrics returns figures of an engine's copy, to be registered. There are
// none once the engine is closed.
func NewCopyMetrics(e *Engine) prometheus.Collector {
	c := copyMetrics{engine: e}
	add := func(kind prometheus.ValueType, name, help string, read func(*pebble.Metrics) float64) {
		c.figures = append(c.figures, copyFigure{prometheus.NewDesc(name, help, nil, nil), kind, read})
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	add(gauge, "mainstem_copy_disk_bytes", "Bytes of the copy on disk, what is to be removed included.",
		func(m *pebble.Metrics) float64 { return float64(m.DiskSpaceUsage()) })
	add(gauge, "mainstem_copy_memtable_bytes", "Bytes of the copy that are in memory and not in tables yet.",
		func(m *pebble.Metrics) float64 { return float64(m.MemTable.Size) })
	add(gauge, "mainstem_copy_read_amplification", "Tables that a read of one key may have to look into.",
		func(m *pebble.Metrics) float64 { return float64(m.ReadAmp()) })
	add(gauge, "mainstem_copy_compaction_debt_bytes", "Bytes that compactions have to rewrite before the copy is in shape.",
		func(m *pebble.Metrics) float64 { return float64(m.Compact.EstimatedDebt) })
	add(counter, "mainstem_copy_compactions_total", "Compactions of the copy.",
		func(m *pebble.Metrics) float64 { return float64(m.Compact.Count) })
	add(counter, "mainstem_copy_flushes_total", "Times that memory was written into tables.",
		func(m *pebble.Metrics) float64 { return float64(m.Flush.Count) })
	add(counter, "mainstem_copy_cache_hits_total", "Blocks of tables that were found in memory.",
		func(m *pebble.Metrics) float64 { return float64(m.BlockCache.Hits) })
	add(counter, "mainstem_copy_cache_misses_total", "Blocks of tables that were read from disk.",
		func(m *pebble.Metrics) float64 { return float64(m.BlockCache.Misses) })
	return c
}

// Describe implements prometheus.Collector.
func (c copyMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, f := range c.figures {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c copyMetrics) Collect(out chan<- prometheus.Metric) {
	db, err := c.engine.acquire()
	if err != nil {
		return // closed
	}
	defer db.release()
	m := db.db.Metrics()
	for _, f := range c.figures {
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.read(m))
	}
}
