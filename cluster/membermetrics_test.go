package cluster_test

import (
	"maps"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
)

// figures are the gauges of a registry, by name and member.
func figures(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += "/" + l.GetValue()
			}
			if m.Gauge != nil {
				out[name] = m.GetGauge().GetValue()
			}
		}
	}
	return out
}

// TestANodeMeasuresItsPeers: how far their clocks are, whether they are there, and
// how many may fail.
func TestANodeMeasuresItsPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registries := map[string]*prometheus.Registry{}
		o := options()
		o.Config = func(id string, cfg *cluster.Config) {
			registries[id] = prometheus.NewRegistry()
			cfg.Metrics = registries[id]
			if id == "n3" {
				cfg.Now = func() time.Time { return time.Now().Add(5 * time.Second) }
			}
		}
		c := clustertest.Of(t, 3, o)
		submit(t, c.Node("n1"), "x")
		time.Sleep(5 * time.Second)
		want := func(id string, figure string, value, give float64) {
			t.Helper()
			if got, known := figures(t, registries[id])[figure]; !known || math.Abs(got-value) > give {
				t.Fatalf("%s at %s: got %v, %v, want %v", figure, id, got, known, value)
			}
		}
		const give = 0.1 // what a report takes on its way
		want("n1", "mainstem_member_clock_offset_seconds/n3", 5, give)
		want("n1", "mainstem_member_clock_offset_seconds/n2", 0, give)
		want("n3", "mainstem_member_clock_offset_seconds/n1", -5, give)
		for _, id := range c.IDs() {
			want(id, "mainstem_raft_has_leader", 1, 0)
			want(id, "mainstem_raft_voters", 3, 0)
			want(id, "mainstem_raft_failure_tolerance", 1, 0)
			for _, other := range c.IDs() {
				want(id, "mainstem_member_lag_entries/"+other, 0, 0)
			}
			if _, own := figures(t, registries[id])["mainstem_member_reachable/"+id]; own {
				t.Fatalf("%s says that it reaches itself", id)
			}
		}
		for _, check := range c.Node("n1").ClusterChecks() {
			if check.Err != nil {
				t.Fatalf("%s: %v", check.Name, check.Err)
			}
		}

		c.Crash("n3")
		time.Sleep(10 * time.Second)
		submit(t, c.Node("n1"), "y")
		time.Sleep(2 * time.Second)
		want("n1", "mainstem_member_reachable/n3", 0, 0)
		want("n1", "mainstem_member_reachable/n2", 1, 0)
		want("n1", "mainstem_raft_failure_tolerance", 0, 0)
		if _, told := figures(t, registries["n1"])["mainstem_member_clock_offset_seconds/n3"]; told {
			t.Fatal("the clock of a member that is away is still told")
		}
		if lag := figures(t, registries["n1"])["mainstem_member_lag_entries/n3"]; lag < 1 {
			t.Fatalf("the lag of a member that is away: %v", lag)
		}
		failing := map[string]bool{}
		for _, check := range c.Node("n1").ClusterChecks() {
			failing[check.Name] = check.Err != nil
		}
		if want := (map[string]bool{"leader": false, "failure-tolerance": true, "voters-reachable": true, "voters-sound": false,
			"voters-caught-up": false, "disk-space": false}); !maps.Equal(failing, want) {
			t.Fatalf("got %v, want %v", failing, want)
		}

		c.Crash("n2")
		time.Sleep(10 * time.Second)
		want("n1", "mainstem_raft_has_leader", 0, 0)
	})
}
