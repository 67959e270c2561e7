package doctor

import (
	"bytes"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics are those of one node, by name.
type Metrics map[string]*dto.MetricFamily

// ParseMetrics reads a page of metrics, and keeps what could be read.
func ParseMetrics(page []byte) Metrics {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, _ := parser.TextToMetricFamilies(bytes.NewReader(page))
	return families
}

// gauge is the sum of a metric's samples that have a label, or of all. It reports
// whether there are any.
func (f Metrics) gauge(name string, labels ...string) (sum float64, known bool) {
	for _, m := range f[name].GetMetric() {
		if hasLabels(m, labels) {
			sum += valueOf(m)
			known = true
		}
	}
	return sum, known
}

// valueOf is the one number of a sample, whichever kind its page says it is.
func valueOf(m *dto.Metric) float64 {
	return m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
}

// byLabel is each sample of a metric by one of its labels.
func (f Metrics) byLabel(name, label string) map[string]float64 {
	out := map[string]float64{}
	for _, m := range f[name].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == label {
				out[l.GetValue()] = valueOf(m)
			}
		}
	}
	return out
}

// within is a bound below which a share of a histogram's samples are, and how many
// there are in all. The bound is infinite where the histogram ends before.
func (f Metrics) within(share float64, name string, labels ...string) (bound float64, count uint64) {
	for _, m := range f[name].GetMetric() {
		if !hasLabels(m, labels) {
			continue
		}
		h := m.GetHistogram()
		count = h.GetSampleCount()
		for _, b := range h.GetBucket() {
			if bound = b.GetUpperBound(); float64(b.GetCumulativeCount()) >= share*float64(count) {
				break
			}
		}
		return bound, count
	}
	return 0, 0
}

func hasLabels(m *dto.Metric, pairs []string) bool {
	for i := 0; i+1 < len(pairs); i += 2 {
		if !slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetName() == pairs[i] && l.GetValue() == pairs[i+1] }) {
			return false
		}
	}
	return true
}
