package deliver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// result is how a delivery ended.
type result string

const (
	resultDone     result = "done"     // 2xx with {"done":true}
	resultAccepted result = "accepted" // 2xx: a callback is awaited
	resultStatus   result = "status"   // any other answer, redirects among them
	resultTimeout  result = "timeout"  // no answer in time
	resultAddress  result = "address"  // a target that is not sent to
	resultBroken   result = "broken"   // no connection, or one that broke
	resultUnsigned result = "unsigned" // this node cannot sign
)

type metrics struct {
	deliveries *prometheus.CounterVec
	retries    prometheus.Counter
	seconds    prometheus.Histogram
	sending    prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mainstem_webhook_deliveries_total",
			Help: "Webhook deliveries that ended on this node, by result.",
		}, []string{"result"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mainstem_webhook_retries_total",
			Help: "Webhook deliveries that were begun for a wake which had been sent, or was to be sent, before.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mainstem_webhook_delivery_seconds",
			Help:    "Time from the request of a webhook delivery to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(1e-3, 2.5, 12), // 1 ms to 24 s
		}),
		sending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mainstem_webhook_deliveries_in_flight",
			Help: "Webhook deliveries that this node waits for.",
		}),
	}
	r.MustRegister(m.deliveries, m.retries, m.seconds, m.sending)
	for _, r := range []result{resultDone, resultAccepted, resultStatus, resultTimeout, resultAddress, resultBroken, resultUnsigned} {
		m.deliveries.WithLabelValues(string(r)) // shown as 0 from the start, for alerts
	}
	return m
}

func (m *metrics) sent(r result, took time.Duration) {
	m.deliveries.WithLabelValues(string(r)).Inc()
	m.seconds.Observe(took.Seconds())
}
