package main

import (
	hashimetrics "github.com/armon/go-metrics"
	"github.com/prometheus/client_golang/prometheus"
)

// telemetry shows what raft and memberlist measure, and they tell it to one place
// per process: with several nodes in a process the one that was opened last shows
// the figures of all.
//
// Only what is in its table is shown, so that nothing that comes over a network can
// make a series. A figure takes no lock on its way, and no memory, since raft
// measures several things at each entry.
type telemetry struct {
	cells map[string]cell
}

// cell is one figure; one of its kinds is set.
type cell struct {
	scale    float64 // from raft's unit to ours
	counter  prometheus.Counter
	gauge    prometheus.Gauge
	observer prometheus.Observer
	byMember *prometheus.HistogramVec
}

// keyBytesMax bounds the names that are looked up; longer ones are in no table.
const keyBytesMax = 64

// peerLabel is how raft labels a figure of one other member, by its node id.
const peerLabel = "peer_id"

var _ hashimetrics.MetricSink = (*telemetry)(nil)

// shareTelemetry makes raft and memberlist tell a registry from now on.
func shareTelemetry(r prometheus.Registerer) {
	cfg := hashimetrics.DefaultConfig("")
	cfg.EnableHostname = false
	cfg.EnableRuntimeMetrics = false
	cfg.TimerGranularity = 1e9                          // seconds
	_, _ = hashimetrics.NewGlobal(cfg, newTelemetry(r)) // it has no error to return
}

func newTelemetry(r prometheus.Registerer) *telemetry {
	t := &telemetry{cells: map[string]cell{}}
	for _, f := range telemetryTable() {
		c, collector := f.cell()
		r.MustRegister(collector)
		t.cells[f.key] = c
	}
	return t
}

// find looks a figure up without making a string of its name.
func (t *telemetry) find(key []string) (cell, bool) {
	var room [keyBytesMax]byte
	name := room[:0]
	for i, part := range key {
		if len(name)+1+len(part) > keyBytesMax {
			return cell{}, false
		}
		if i > 0 {
			name = append(name, '.')
		}
		name = append(name, part...)
	}
	c, known := t.cells[string(name)]
	return c, known
}

func (t *telemetry) SetGauge(key []string, value float32) { t.SetGaugeWithLabels(key, value, nil) }

func (t *telemetry) SetGaugeWithLabels(key []string, value float32, _ []hashimetrics.Label) {
	if c, known := t.find(key); known && c.gauge != nil {
		c.gauge.Set(float64(value) * c.scale)
	}
}

func (t *telemetry) EmitKey([]string, float32) {} // nobody does

func (t *telemetry) IncrCounter(key []string, value float32) {
	t.IncrCounterWithLabels(key, value, nil)
}

func (t *telemetry) IncrCounterWithLabels(key []string, value float32, _ []hashimetrics.Label) {
	if c, known := t.find(key); known && c.counter != nil && value > 0 {
		c.counter.Add(float64(value) * c.scale)
	}
}

func (t *telemetry) AddSample(key []string, value float32) { t.AddSampleWithLabels(key, value, nil) }

func (t *telemetry) AddSampleWithLabels(key []string, value float32, labels []hashimetrics.Label) {
	c, known := t.find(key)
	switch {
	case !known:
	case c.observer != nil:
		c.observer.Observe(float64(value) * c.scale)
	case c.byMember != nil:
		for _, l := range labels {
			if l.Name == peerLabel {
				c.byMember.WithLabelValues(l.Value).Observe(float64(value) * c.scale)
			}
		}
	}
}
