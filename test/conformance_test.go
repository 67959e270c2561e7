package test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	suiteTests  = 338 // of @durable-streams/server-conformance-tests 0.3.6: 332 core ones, and 6 of subscriptions
	suiteWithin = 3 * time.Minute
)

// Times as the suites want them: their long-polls end in half a second. Their
// receiver of webhooks is on 127.0.0.1.
var suiteArgs = []string{"--long-poll-timeout", "500ms", "--sse-reconnect-interval", "60s", "--webhooks-allow-insecure"}

// A busy machine starves a process for longer than the default timeouts of an
// election allow; a run against a follower shows nothing when it becomes the
// leader. Elections have their own tests.
var steadyRaft = []string{"--raft-heartbeat-timeout", "3s", "--raft-election-timeout", "3s", "--raft-leader-lease-timeout", "2s"}

// tally is what the reporter of test/conformance writes.
type tally struct {
	Passed, Failed, Skipped, Retries int
	Errors                           []string
	Failures                         []struct {
		Name   string
		Errors []string
	}
}

func TestConformanceOfASingleNode(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 1, suiteArgs...)
	conform(t, c.Nodes[0].URL())
}

func TestConformanceOfAFollower(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3, append(steadyRaft, suiteArgs...)...)
	follower := c.Followers()[0]
	conform(t, follower.URL())
	if leader := c.Leader(); leader == follower {
		t.Fatalf("%s was a follower at the start and leads at the end: the run shows nothing", follower.ID)
	}
	c.WaitEqual()
}

func TestConformanceThroughARoundRobinProxy(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3, suiteArgs...)
	proxy := harness.StartProxy(t, c.URLs())
	conform(t, proxy.URL)
	if err := proxy.Err(); err != nil {
		t.Fatal(err)
	}
	if n := proxy.Requests(); n < suiteTests {
		t.Fatalf("the proxy saw %d requests: the suite went elsewhere", n)
	}
	t.Logf("%d requests, each to the next of 3 nodes; copies equal: %+v", proxy.Requests(), c.WaitEqual())
}

// conform runs the suite against a base URL and checks its result by count.
func conform(t *testing.T, url string) {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	out := node(t, suiteWithin, []string{"CONFORMANCE_TEST_URL=" + url, "CONFORMANCE_REPORT=" + report},
		"node_modules/vitest/vitest.mjs", "run")
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("the suite wrote no report: %v\n%s", err, out.text)
	}
	var got tally
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	t.Logf("conformance at %s: passed %d, failed %d, skipped %d, retries %d", url, got.Passed, got.Failed, got.Skipped, got.Retries)
	for _, f := range got.Failures {
		t.Errorf("%s\n%s", f.Name, bytes.Join(toBytes(f.Errors), []byte("\n")))
	}
	for _, e := range got.Errors {
		t.Errorf("outside the tests: %s", e)
	}
	if got.Passed != suiteTests || got.Failed != 0 || got.Skipped != 0 || got.Retries != 0 {
		t.Fatalf("want passed %d, failed 0, skipped 0, retries 0\n%s", suiteTests, out.text)
	}
	if out.err != nil {
		t.Fatalf("the suite ended with %v\n%s", out.err, out.text)
	}
}

func toBytes(lines []string) [][]byte {
	var out [][]byte
	for _, l := range lines {
		out = append(out, []byte(l))
	}
	return out
}

// nodeOutput is what a JavaScript program left.
type nodeOutput struct {
	text []byte
	err  error
}

// node runs a JavaScript program in test/conformance in a process group of its
// own, which is killed as a whole when it takes too long.
func node(t *testing.T, within time.Duration, env []string, args ...string) nodeOutput {
	t.Helper()
	var text bytes.Buffer
	cmd := exec.Command("node", args...)
	cmd.Dir = filepath.Join(harness.Root(t), "test", "conformance")
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &text, &text
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(within, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	if !late.Stop() {
		t.Fatalf("node %v was killed after %v\n%s", args, within, text.Bytes())
	}
	return nodeOutput{text: text.Bytes(), err: err}
}
