package main

import (
	"fmt"
	"strings"
	"testing"

	hashimetrics "github.com/armon/go-metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// TestTelemetryIsShownInSeconds, by member where it is about one, and what is in
// no table is not shown.
func TestTelemetryIsShownInSeconds(t *testing.T) {
	r := prometheus.NewRegistry()
	tel := newTelemetry(r)
	tel.AddSample([]string{"raft", "commitTime"}, 0.25)
	tel.AddSample([]string{"raft", "leader", "lastContact"}, 250)
	tel.IncrCounter([]string{"raft", "state", "leader"}, 1)
	tel.IncrCounter([]string{"raft", "state", "leader"}, 2)
	tel.SetGauge([]string{"memberlist", "health", "score"}, 3)
	tel.AddSampleWithLabels([]string{"raft", "replication", "heartbeat"}, 0.5, []hashimetrics.Label{{Name: "peer_id", Value: "n2"}})
	before, err := testutil.GatherAndCount(r)
	if err != nil {
		t.Fatal(err)
	}
	tel.IncrCounter([]string{"raft", "made", "up"}, 1)
	tel.AddSample([]string{strings.Repeat("x", 2*keyBytesMax)}, 1)
	tel.AddSample([]string{"raft", "state", "leader"}, 1) // of another kind
	after, err := testutil.GatherAndCount(r)
	if err != nil || after != before {
		t.Fatalf("%d series, then %d, %v", before, after, err)
	}
	got := map[string]string{}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				labels += l.GetValue()
			}
			switch {
			case m.Histogram != nil:
				got[f.GetName()+labels] = fmt.Sprint(m.GetHistogram().GetSampleCount(), " ", m.GetHistogram().GetSampleSum())
			case m.Counter != nil:
				got[f.GetName()+labels] = fmt.Sprint(m.GetCounter().GetValue())
			default:
				got[f.GetName()+labels] = fmt.Sprint(m.GetGauge().GetValue())
			}
		}
	}
	for name, want := range map[string]string{
		"mainstem_raft_commit_seconds":               "1 0.25",
		"mainstem_raft_follower_contact_seconds":     "1 0.25",
		"mainstem_raft_state_changes_totalleader":    "3",
		"mainstem_gossip_health_score":               "3",
		"mainstem_raft_heartbeat_secondsn2":          "1 0.5",
		"mainstem_raft_state_changes_totalcandidate": "0",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
}

// TestTelemetryTakesNoMemory: raft measures several things at each entry.
func TestTelemetryTakesNoMemory(t *testing.T) {
	tel := newTelemetry(prometheus.NewRegistry())
	key, labels := []string{"raft", "replication", "appendEntries", "rpc"}, []hashimetrics.Label{{Name: "peer_id", Value: "n2"}}
	unknown := []string{"raft", "net", "rpcDecode"}
	tel.AddSampleWithLabels(key, 1, labels)
	if got := testing.AllocsPerRun(100, func() {
		tel.AddSampleWithLabels(key, 1, labels)
		tel.AddSample(unknown, 1)
		tel.IncrCounter([]string{"raft", "apply"}, 1)
	}); got != 0 {
		t.Fatalf("%v allocations", got)
	}
}

// TestMetricsOfANodeAreWellNamed runs the checks of promtool over what a node
// shows, and wants raft's and memberlist's figures among it.
func TestMetricsOfANodeAreWellNamed(t *testing.T) {
	_, base := dev(t)
	if got := asks(t, "PUT", base+"/s", ""); got != 201 {
		t.Fatalf("create: %d", got)
	}
	status, text := get(t, strings.TrimSuffix(base, "/v1/stream")+"/metrics")
	if status != 200 {
		t.Fatalf("got %d", status)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, name := range []string{"mainstem_raft_proposals_total", "mainstem_raft_commit_seconds_count", "mainstem_raft_leader_store_seconds_count",
		`mainstem_raft_state_changes_total{state="leader"}`, `mainstem_append_stage_seconds_count{stage="apply"}`, "mainstem_copy_disk_bytes"} {
		_, rest, found := strings.Cut(text, "\n"+name+" ")
		if value, _, _ := strings.Cut(rest, "\n"); !found || value == "0" {
			t.Errorf("%s: got %q", name, value)
		}
	}
}
