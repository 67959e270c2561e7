package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"mainstem/cluster"
)

const (
	examineTimeout  = 5 * time.Second // of one answer
	examineBytesMax = 32 << 20        // of one answer
	examineAtOnce   = 8               // members
	metricsPath     = "/metrics"
)

// examiner asks all members of a cluster how they are.
type examiner struct {
	urls  []string // of some members at least
	token string   // "" for none
}

// examined is what one member answered. Where it did not, the error says so.
type examined struct {
	id  string // "" when nobody knows it
	url string // "" when nobody knows it

	err       error // of its status: it counts as not answering
	status    cluster.Status
	metrics   map[string]*dto.MetricFamily
	settings  map[string]string // by key; nil when they were not told
	configErr error
}

func (e examined) answers() bool { return e.err == nil }

// name is the member for people.
func (e examined) name() string { return cmp.Or(e.id, e.url) }

// examine asks the nodes that were named, and then the members that those know of.
// The result is sorted by node id; each node is in it once.
func (x examiner) examine(ctx context.Context) []examined {
	named := x.askAll(ctx, x.urls, nil)
	known := map[string]bool{}
	var all []examined
	for _, e := range named {
		if e.answers() && known[e.id] {
			continue // one node by two names
		}
		known[e.id] = e.answers()
		all = append(all, e)
	}
	urls, ids := x.others(all)
	all = append(all, x.askAll(ctx, urls, ids)...)
	all = withoutNameless(all)
	slices.SortStableFunc(all, func(a, b examined) int { return cmp.Compare(a.name(), b.name()) })
	return all
}

// withoutNameless joins those that were named and did not answer with the members
// that they are: by their address, by their host if only one member is there, or
// because no other is left.
func withoutNameless(all []examined) (out []examined) {
	var silent []*examined // members that did not answer and were not named
	nameless := 0
	for i := range all {
		if all[i].id == "" {
			nameless++
		} else if !all[i].answers() {
			silent = append(silent, &all[i])
		}
	}
	for _, e := range all {
		if e.id != "" {
			continue
		}
		at := whoIsAt(e.url, silent)
		if at < 0 && nameless == 1 && len(silent) == 1 {
			at = 0
		}
		if at < 0 {
			out = append(out, e)
			continue
		}
		m := silent[at]
		if silent = slices.Delete(silent, at, at+1); m.url != e.url {
			m.url, m.err = e.url, fmt.Errorf("%w; nor at the address that the others know: %w", e.err, m.err)
		}
	}
	for _, e := range all {
		if e.id != "" {
			out = append(out, e)
		}
	}
	return out
}

// whoIsAt is the place of the one member with that address, -1 if none can be told.
func whoIsAt(address string, members []*examined) int {
	host, name := hostOf(address)
	if i := slices.IndexFunc(members, func(e *examined) bool { h, _ := hostOf(e.url); return h == host }); i >= 0 {
		return i
	}
	sameName := func(e *examined) bool { _, n := hostOf(e.url); return n == name }
	i := slices.IndexFunc(members, sameName)
	if i >= 0 && slices.IndexFunc(members[i+1:], sameName) >= 0 {
		return -1
	}
	return i
}

// hostOf is the host of a URL with its port, and without.
func hostOf(address string) (host, name string) {
	u, err := url.Parse(address)
	if err != nil {
		return address, address
	}
	return u.Host, u.Hostname()
}

// others are the members that were not named, as those that answered know them.
// They are reached as the named ones are: with TLS or without.
func (x examiner) others(all []examined) (urls, ids []string) {
	seen := map[string]bool{}
	scheme := ""
	for _, e := range all {
		if e.answers() {
			seen[e.id] = true
			scheme = cmp.Or(scheme, strings.SplitN(e.url, "://", 2)[0])
		}
	}
	addresses := map[string]string{}
	for _, e := range all {
		for _, m := range e.status.Members {
			if !seen[m.NodeID] && (addresses[m.NodeID] == "" || m.HTTPAddr != "") {
				addresses[m.NodeID] = m.HTTPAddr
			}
		}
	}
	for id, address := range addresses {
		ids = append(ids, id)
		if address != "" && !strings.Contains(address, "://") {
			addresses[id] = scheme + "://" + address
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		urls = append(urls, addresses[id])
	}
	return urls, ids
}

// askAll asks several nodes at once. ids, if given, are who they are expected to be.
func (x examiner) askAll(ctx context.Context, urls, ids []string) []examined {
	out := make([]examined, len(urls))
	var g errgroup.Group
	g.SetLimit(examineAtOnce)
	for i, address := range urls {
		id := ""
		if ids != nil {
			id = ids[i]
		}
		g.Go(func() error {
			out[i] = x.askOne(ctx, address, id)
			return nil
		})
	}
	_ = g.Wait() // no function returns an error
	return out
}

func (x examiner) askOne(ctx context.Context, address, id string) examined {
	e := examined{id: id, url: address}
	if address == "" {
		e.err = errors.New("no member that answers knows its address")
		return e
	}
	body, err := x.fetch(ctx, address, statusPath, examineTimeout)
	if err == nil {
		err = json.Unmarshal(body, &e.status)
	}
	switch {
	case err != nil:
		e.err = err
		return e
	case e.status.NodeID == "":
		e.err = fmt.Errorf("%s answers, but not as a node of Mainstem", address)
		return e
	case id != "" && e.status.NodeID != id:
		e.err = fmt.Errorf("at its address %s node %s answers", address, e.status.NodeID)
		e.status = cluster.Status{}
		return e
	}
	e.id = e.status.NodeID
	if body, err := x.fetch(ctx, address, metricsPath, examineTimeout); err == nil {
		e.metrics = parseMetrics(body)
	}
	var c servedConfig
	if body, e.configErr = x.fetch(ctx, address, configPath, examineTimeout); e.configErr == nil {
		e.configErr = json.Unmarshal(body, &c)
	}
	if e.configErr == nil {
		e.settings = map[string]string{}
		for _, s := range c.Settings {
			e.settings[s.Key] = s.Value
		}
	}
	return e
}

// parseMetrics keeps what could be read.
func parseMetrics(page []byte) map[string]*dto.MetricFamily {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, _ := parser.TextToMetricFamilies(bytes.NewReader(page))
	return families
}

// fetch asks for one page. An error that is an answer is a *refusedError.
func (x examiner) fetch(ctx context.Context, base, path string, within time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	if x.token != "" {
		req.Header.Set("Authorization", "Bearer "+x.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, examineBytesMax+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", path, err)
	case len(body) > examineBytesMax:
		return nil, fmt.Errorf("%s is longer than %d bytes", path, examineBytesMax)
	case res.StatusCode != http.StatusOK:
		return body, &refusedError{status: res.StatusCode, text: fmt.Sprintf("%s answered %s: %s", base, res.Status, detailOf(body))}
	}
	return body, nil
}

// asURL makes HOST:PORT a URL.
func asURL(address string) string {
	if !strings.Contains(address, "://") {
		return "http://" + address
	}
	return address
}

// gauge is the sum of a metric's samples that have a label, or of all. It reports
// whether there are any.
func (e examined) gauge(name string, labels ...string) (sum float64, known bool) {
	for _, m := range e.metrics[name].GetMetric() {
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
func (e examined) byLabel(name, label string) map[string]float64 {
	out := map[string]float64{}
	for _, m := range e.metrics[name].GetMetric() {
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
func (e examined) within(share float64, name string, labels ...string) (bound float64, count uint64) {
	for _, m := range e.metrics[name].GetMetric() {
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
