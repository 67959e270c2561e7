package scrub

import "github.com/prometheus/client_golang/prometheus"

// metrics are this package's numbers.
type metrics struct {
	bytes      prometheus.Counter
	mismatches prometheus.Counter
	ranges     *prometheus.CounterVec
	passes     prometheus.Counter
	passed     prometheus.Gauge
}

func newMetrics(r prometheus.Registerer, q *Quarantine) *metrics {
	m := &metrics{
		bytes:      prometheus.NewCounter(prometheus.CounterOpts{Name: "mainstem_scrub_bytes_total", Help: "Bytes that were read only to check them."}),
		mismatches: prometheus.NewCounter(prometheus.CounterOpts{Name: "mainstem_scrub_mismatch_total", Help: "Parts of the copy in which replicas were seen to differ at an equal index."}),
		ranges:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mainstem_scrub_ranges_total", Help: "Parts of the copy that were compared, by result."}, []string{"result"}),
		passes:     prometheus.NewCounter(prometheus.CounterOpts{Name: "mainstem_scrub_passes_total", Help: "Times that all files of this node were read and found whole."}),
		passed:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "mainstem_scrub_last_pass_timestamp_seconds", Help: "When all files of this node were last found whole, in Unix time; 0 before the first time."}),
	}
	damaged := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mainstem_replica_damaged", Help: "1 when this node's copy was found damaged and is not read."}, func() float64 {
		if q.Damage() != "" {
			return 1
		}
		return 0
	})
	r.MustRegister(m.bytes, m.mismatches, m.ranges, m.passes, m.passed, damaged)
	for _, result := range outcomeNames {
		m.ranges.WithLabelValues(result) // shown as 0 from the start, for alerts
	}
	return m
}
