package test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	clientChecks  = 7 // in test/conformance/clients.mjs
	clientsWithin = time.Minute
)

func TestTypeScriptClientsAgainstAFollower(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3, append(steadyRaft, suiteArgs...)...)
	follower := c.Followers()[0]
	out := node(t, clientsWithin, nil, "clients.mjs", follower.URL())
	if out.err != nil {
		t.Fatalf("%v\n%s", out.err, out.text)
	}
	lines := bytes.Split(bytes.TrimSpace(out.text), []byte("\n"))
	var got struct{ Checks []string }
	if err := json.Unmarshal(lines[len(lines)-1], &got); err != nil {
		t.Fatalf("%v in %s", err, out.text)
	}
	if len(got.Checks) != clientChecks {
		t.Fatalf("%d checks passed, want %d: %q", len(got.Checks), clientChecks, got.Checks)
	}
	if c.Leader() == follower {
		t.Fatalf("%s was a follower at the start and leads at the end: the run shows nothing", follower.ID)
	}
	t.Logf("%d checks of the TypeScript client and the state protocol against follower %s: %q",
		len(got.Checks), follower.ID, got.Checks)
}
