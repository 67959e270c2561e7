package httpapi

import "github.com/prometheus/client_golang/prometheus"

// countRefusals registers what tells of requests and readers that were one too
// many. Reasons are words of this server, never a client's.
func (m *metrics) countRefusals(r prometheus.Registerer) {
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mainstem_http_refused_total",
		Help: "Requests answered with a problem, by its reason.",
	}, []string{"reason"})
	cut := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mainstem_slow_readers_cut_total",
		Help: "Readers whose connection was ended because they took too little: for too long (deadline), or while all of them held too much (backlog).",
	}, []string{"reason"})
	m.tooSlow, m.tooFull = cut.WithLabelValues("deadline"), cut.WithLabelValues("backlog")
	r.MustRegister(m.refused, cut)
	for _, p := range []*problem{errBusy, errReadersBusy, errCrowded, errTooLarge} {
		m.refused.WithLabelValues(p.reason) // shown as 0 from the start, for alerts
	}
}

// writes reports an operation that goes through the log.
func (op operation) writes() bool {
	switch op {
	case opCreate, opAppend, opDelete, opTrim, opControl:
		return true
	}
	return false
}

// free reports an operation that costs its client nothing.
func (op operation) free() bool {
	switch op {
	case opPreflight, opHealth, opMetrics, opStatus, opOther:
		return true
	}
	return false
}
