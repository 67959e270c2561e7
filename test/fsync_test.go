package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	tracedAppends = 40
	tracedPause   = 10 * time.Millisecond
	unsafeShown   = 3
	tracedCalls   = "fsync,fdatasync,sync_file_range,read,readv,recvfrom,recvmsg,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg," +
		"openat,open,creat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat"
	// Where a node keeps what the proof looks at, below its data directory.
	logDir  = "log"
	copyDir = "copy"
)

func TestNoAnswerBeforeAnFsyncOnASingleNode(t *testing.T) {
	harness.Require(t)
	proveFsync(t, 1, 1)
}

func TestNoAnswerBeforeAnFsyncOnAQuorumOfThree(t *testing.T) {
	harness.Require(t)
	proveFsync(t, 3, 2)
}

// proveFsync runs fresh nodes under one strace, sends appends one by one, and
// wants each of them written and synced to the raft logs of a quorum before it
// is answered, with the directories of all files that matter.
func proveFsync(t *testing.T, count, quorum int) {
	c := harness.NewCluster(t, count, steadyRaft...)
	trace := filepath.Join(t.TempDir(), "trace")
	p := startTraced(t, c, trace)
	c.WaitReady()
	markers := appendMarked(t, c)
	p.Kill()

	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // only read
	calls, err := parseTrace(f)
	if err != nil {
		t.Fatal(err)
	}
	var nodes []tracedNode
	for _, n := range c.Nodes {
		nodes = append(nodes, tracedNode{id: n.ID, addr: n.Addr, dir: n.Dir,
			log: filepath.Join(n.Dir, logDir), skip: filepath.Join(n.Dir, copyDir)})
	}
	a := newAccount(calls)
	verdicts, err := a.judge(nodes, markers)
	if err != nil {
		t.Fatal(err)
	}
	byCount := map[int]int{}
	unsafe := 0
	for _, v := range verdicts {
		byCount[len(v.durable)]++
		if len(v.durable) < quorum {
			unsafe++
		}
		if len(v.durable) < quorum && unsafe <= unsafeShown {
			t.Errorf("%s was answered when it was durable on %q, want %d of %d nodes; %s",
				v.marker, v.durable, quorum, count, strings.Join(v.missing, "; "))
		}
	}
	t.Logf("%d appends answered, in a trace of %d calls with syncs of %d files and directories; durable before the answer, by number of nodes: %v (quorum %d)",
		len(verdicts), len(calls), len(a.syncs), byCount, quorum)
}

// startTraced starts all nodes under one strace, whose lines are then in an
// order of cause and effect across the nodes.
func startTraced(t *testing.T, c *harness.Cluster, trace string) *harness.Process {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatalf("%v; test/setup.sh installs it", err)
	}
	var script strings.Builder
	for _, n := range c.Nodes {
		fmt.Fprintf(&script, "%s %s >>%s 2>&1 &\n", harness.Binary(t), strings.Join(n.ServeArgs(), " "), n.LogPath)
	}
	script.WriteString("wait\n")
	log := filepath.Join(t.TempDir(), "strace.log")
	p, err := harness.StartProcess(log, nil, "strace", "-f", "--seccomp-bpf", "-yy", "-ttt", "-T", "-s", "8192",
		"-e", "signal=none", "-e", "trace="+tracedCalls, "-o", trace, "sh", "-c", script.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("strace: %s", harness.LogTail(log, 10))
		}
	})
	for _, n := range c.Nodes {
		n.RunIn(p)
	}
	return p
}

// appendMarked sends appends that can be told apart, one after the other, to
// the nodes in turn.
func appendMarked(t *testing.T, c *harness.Cluster) []string {
	t.Helper()
	if a, err := c.Nodes[0].Client().Create("traced", harness.Headers("Content-Type", text), ""); err != nil || a.Status != 201 {
		t.Fatalf("create: %s, %v", a, err)
	}
	var clients []*harness.Client
	for _, n := range c.Nodes {
		clients = append(clients, n.Client())
	}
	var markers []string
	for i := range tracedAppends {
		marker := fmt.Sprintf("marked-append-%04d;", i)
		a, err := clients[i%len(clients)].Append("traced", harness.Headers("Content-Type", text), marker)
		if err != nil || a.Status != 204 {
			t.Fatalf("append %s: %s, %v", marker, a, err)
		}
		markers = append(markers, marker)
		time.Sleep(tracedPause)
	}
	return markers
}
