package test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	leavesWithin    = 5 * time.Second
	leaderlessAfter = 15 * time.Second
)

// metricNames are what an operator's dashboards are built on.
var metricNames = []string{
	"mainstem_build_info", "mainstem_raft_is_leader", "mainstem_raft_term", "mainstem_raft_commit_index", "mainstem_raft_applied_index",
	"mainstem_raft_failure_tolerance", "mainstem_http_requests_total", "mainstem_http_request_seconds_bucket",
	"mainstem_append_stage_seconds_bucket", "mainstem_live_readers", "mainstem_fsync_seconds_bucket",
	"mainstem_disk_free_bytes", "mainstem_disk_total_bytes", "mainstem_disk_watermark", "mainstem_ballast_bytes", "mainstem_cluster_out_of_space",
}

func TestHealthAndMetricsOfEachNode(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	wroteThrough(t, c.Nodes)
	leaders := 0.0
	for _, n := range c.Nodes {
		for _, path := range []string{"/livez", "/readyz", "/healthz"} {
			if a, err := n.Client().Get(path, nil); err != nil || a.Status != 200 {
				t.Errorf("%s at %s: %s, %v", path, n.ID, a, err)
			}
		}
		for _, name := range metricNames {
			if _, err := metric(n, name); err != nil {
				t.Errorf("%s at %s: %v", name, n.ID, err)
			}
		}
		if is, err := metric(n, "mainstem_raft_is_leader"); err == nil {
			leaders += is
		}
	}
	if leaders != 1 {
		t.Errorf("%v nodes count themselves as leader", leaders)
	}
	freedReader(t, c.Nodes[0])
	unready(t, c)
}

// freedReader wants a reader that leaves to leave nothing behind.
func freedReader(t *testing.T, n *harness.Node) {
	t.Helper()
	const readers = `mainstem_live_readers\{mode="sse"\}`
	want := func(count float64) func() error {
		return func() error {
			if got, err := metric(n, readers); err != nil || got != count {
				return fmt.Errorf("%v live readers, %v, want %v", got, err, count)
			}
			return nil
		}
	}
	tail, err := n.Client().Tail(context.Background(), "written-0", "now")
	if err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, leavesWithin, "the reader is counted", want(1))
	tail.Close()
	harness.Eventually(t, leavesWithin, "the reader that left is freed", want(0))
}

// unready wants a node without a leader to live and not to be ready, to answer
// no valid request with 4xx, and to come back by itself.
func unready(t *testing.T, c *harness.Cluster) {
	t.Helper()
	last := c.Nodes[0]
	for _, n := range c.Nodes[1:] {
		n.Kill()
	}
	harness.Eventually(t, leaderlessAfter, "a node without a quorum is not ready", func() error {
		if last.Ready() == nil {
			return fmt.Errorf("%s is ready", last.ID)
		}
		return nil
	})
	client := last.Client()
	if a, err := client.Get("/livez", nil); err != nil || a.Status != 200 {
		t.Errorf("/livez without a quorum: %s, %v", a, err)
	}
	if a, err := client.Head("written-0", nil); err != nil || a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("HEAD without a quorum: want 503 with Retry-After, got %s, %v", a, err)
	}
	if a, err := client.Head("never-made", nil); err != nil || a.Status != 503 {
		t.Errorf("HEAD of nothing without a quorum: want 503, got %s, %v", a, err)
	}
	if a, err := client.Read("written-0", "-1", nil); err != nil || a.Status != 200 || a.UpToDate() || a.Header.Get("Stream-Staleness") == "" {
		t.Errorf("GET without a quorum: want the local bytes, marked stale and not up to date, got %s, %v", a, err)
	}
	if a, err := client.Append("written-0", harness.Headers("Content-Type", text), "x"); err != nil || a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("POST without a quorum: want 503 with Retry-After, got %s, %v", a, err)
	}
	c.Start()
	c.WaitReady()
	wroteThrough(t, c.Nodes)
}

// metric returns the sum of a metric's series; its name is a regular expression
// and may hold labels.
func metric(n *harness.Node, name string) (float64, error) {
	a, err := n.Client().Get("/metrics", nil)
	if err != nil || a.Status != 200 {
		return 0, fmt.Errorf("GET /metrics: %d, %v", a.Status, err)
	}
	found := regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)$`).FindAllSubmatch(a.Body, -1)
	if len(found) == 0 {
		return 0, errors.New("no such metric")
	}
	sum := 0.0
	for _, m := range found {
		value, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			return 0, err
		}
		sum += value
	}
	return sum, nil
}
