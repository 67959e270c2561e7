package httpapi

import (
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"mainstem/stream"
)

// operation is what a request is counted as: a fixed set, so that no client
// can invent a label.
type operation uint8

const (
	opCreate operation = iota
	opAppend
	opDelete
	opHead
	opRead
	opLongPoll
	opSSE
	opPreflight
	opHealth
	opMetrics
	opStatus
	opControl
	opList
	opTrim
	opOther
	opEnd

	opTaken // not counted yet: the connection lives on in the relay
)

var operationNames = [opEnd]string{
	opCreate:    "create",
	opAppend:    "append",
	opDelete:    "delete",
	opHead:      "head",
	opRead:      "read",
	opLongPoll:  "long-poll",
	opSSE:       "sse",
	opPreflight: "preflight",
	opHealth:    "health",
	opMetrics:   "metrics",
	opStatus:    "status",
	opControl:   "subscriptions",
	opList:      "list",
	opTrim:      "trim",
	opOther:     "other",
}

// statusClientLeft is counted, and never sent, for a request that was not served
// because its client had left.
const statusClientLeft = 499

const statusMax = 600

// metrics holds the children of each vector, since looking them up by label
// costs more than counting.
type metrics struct {
	requests *prometheus.CounterVec
	counters [opEnd][statusMax]atomic.Pointer[prometheus.Counter] // made when first needed
	seconds  [opEnd]prometheus.Observer
	bytesIn  prometheus.Counter
	bytesOut prometheus.Counter
	longPoll prometheus.Gauge
	sse      prometheus.Gauge
	renewed  prometheus.Counter
	delivery prometheus.Histogram // of live reads

	duplicates, fenced prometheus.Counter // of producers' appends

	refused          *prometheus.CounterVec
	tooSlow, tooFull prometheus.Counter // readers that were cut, for want of time and of memory
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mainstem_http_requests_total",
			Help: "Requests answered, by operation and status; 499 for a client that left first.",
		}, []string{"operation", "code"}),
		bytesIn: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mainstem_http_request_bytes_total",
			Help: "Bytes of request bodies that were read.",
		}),
		bytesOut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mainstem_http_response_bytes_total",
			Help: "Bytes of response bodies that were written.",
		}),
		renewed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mainstem_http_touches_total",
			Help: "Renewals of lifetimes that reads have put into the log.",
		}),
		delivery: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mainstem_live_delivery_seconds",
			Help: "Time from a change of a stream in this node's copy until a live reader that waited for it was sent it.",
			// 50 µs to 13 s: one reader, and the last of very many.
			Buckets: prometheus.ExponentialBuckets(50e-6, 4, 10),
		}),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mainstem_producer_duplicates_total",
			Help: "Appends of producers that were there already and were not stored again.",
		}),
		fenced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mainstem_producer_fences_total",
			Help: "Appends of producers that were refused because a later epoch has begun.",
		}),
	}
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "mainstem_http_request_seconds",
		Help: "Time from the headers of a request to the end of its answer, by operation.",
		// 0.25 ms to 65 s: an append in memory, and a live connection.
		Buckets: prometheus.ExponentialBuckets(250e-6, 2, 19),
	}, []string{"operation"})
	live := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "mainstem_live_readers",
		Help: "Long-polls that wait and SSE connections that are open, by mode.",
	}, []string{"mode"})
	r.MustRegister(m.requests, m.bytesIn, m.bytesOut, m.renewed, m.delivery, m.duplicates, m.fenced, seconds, live)
	m.countRefusals(r)
	for op, name := range operationNames {
		m.seconds[op] = seconds.WithLabelValues(name)
	}
	m.longPoll, m.sse = live.WithLabelValues("long-poll"), live.WithLabelValues("sse")
	return m
}

func (m *metrics) observe(op operation, status int, took time.Duration, out int64) {
	if status <= 0 || status >= statusMax {
		status = 0
	}
	cell := &m.counters[op][status]
	counter := cell.Load()
	if counter == nil {
		made := m.requests.WithLabelValues(operationNames[op], strconv.Itoa(status))
		counter = &made
		cell.Store(counter)
	}
	(*counter).Inc()
	m.seconds[op].Observe(took.Seconds())
	m.bytesOut.Add(float64(out))
}

// judged counts what the rules of producers made of an append.
func (m *metrics) judged(out stream.Outcome, err error) {
	var no *stream.Rejection
	switch {
	case out.Duplicate:
		m.duplicates.Inc()
	case errors.As(err, &no) && no.Code == stream.ProducerFenced:
		m.fenced.Inc()
	}
}

// delivered counts a change that a live reader was woken for and was sent.
func (m *metrics) delivered(woken time.Time) {
	if !woken.IsZero() {
		m.delivery.Observe(time.Since(woken).Seconds())
	}
}

// finish ends every request: it answers a panic, counts and tells.
func (s *Server) finish(c echo.Context, op operation, begin time.Time, panicked any, told *account) {
	if panicked != nil {
		s.answerPanic(c, panicked)
	}
	if op == opTaken {
		return // the rider does it
	}
	res := c.Response()
	status := res.Status
	if status >= http.StatusInternalServerError && c.Request().Context().Err() != nil {
		status = statusClientLeft
	}
	took := time.Since(begin)
	s.metrics.observe(op, status, took, res.Size)
	told.close(op, status, res.Size, took)
}
