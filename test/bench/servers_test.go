package bench

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mainstem/bench"
	"mainstem/test/harness"
)

// server is something that can be measured. Each start is a fresh one.
type server struct {
	name  string
	start func(t *testing.T) running
}

// running is a server that answers.
type running struct {
	writes []string // base URLs for writers
	reads  []string // and for readers that follow
	pids   []int
	blind  bool         // nothing can be read back
	wiped  func() error // starts the server anew, with nothing of its files in memory

	run func(context.Context, bench.Config) (*bench.Result, error) // nil for bench.Run
}

const (
	ceiling    = "echo ceiling"
	oneNode    = "one node"
	threeNodes = "three nodes"
	nodeMemory = "reference, memory"
	nodeFile   = "reference, file"
	slowDisks  = "three nodes, each fsync 1.5 ms later"
)

func servers() []server {
	return []server{
		{ceiling, startCeiling},
		{oneNode, startOne},
		{threeNodes, func(t *testing.T) running { return startThree(t) }},
		{nodeMemory, func(t *testing.T) running { return startReference(t, false) }},
		{nodeFile, func(t *testing.T) running { return startReference(t, true) }},
		{etcd, startEtcd},
		{nats, startNATS},
		{slowDisks, startSlow},
	}
}

// base is where streams live on all of them.
const base = "/v1/stream"

func quiet() []string { return []string{"--log-level", "error"} }

func startOne(t *testing.T) running {
	n := harness.NewNode(t, harness.Dir(t), "a")
	n.Args = quiet()
	n.Start()
	n.WaitReady()
	wiped := func() error {
		n.Stop()
		if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0o200); err != nil {
			return fmt.Errorf("make the disk cold: %w", err)
		}
		n.Start()
		n.WaitReady()
		return nil
	}
	return running{writes: []string{n.URL() + base}, reads: []string{n.URL() + base}, pids: []int{n.Pid()}, wiped: wiped}
}

// startThree lets writers use all nodes, and those who follow only nodes that do not
// lead.
func startThree(t *testing.T, args ...string) running {
	return runningCluster(harness.StartCluster(t, 3, append(quiet(), args...)...))
}

// startSlow has a disk that takes as long as a common cloud volume for each fsync:
// the program is built with a sleep after each, in which a thread waits as it does for
// a disk. To stop the process for it from outside costs more than the sleep.
func startSlow(t *testing.T) running {
	slow := harness.BuildEdited(t,
		harness.Edit{File: "storage/syncdata_linux.go", Before: "err != unix.EINTR {\n\t\t\treturn err", After: "err != unix.EINTR {\n\t\t\treturn later(err)"},
		harness.Edit{File: "storage/syncdata_linux.go", Before: "const canSyncData = true", After: slowly},
		harness.Edit{File: "storage/tablefs.go", Before: "f.fs.judge(f.File.Sync())", After: "f.fs.judge(later(f.File.Sync()))"},
		harness.Edit{File: "storage/segmentfs.go", Before: "err := f.WritableFile.Sync(); err", After: "err := later(f.WritableFile.Sync()); err"},
	)
	c := harness.NewCluster(t, 3, quiet()...)
	for _, n := range c.Nodes {
		n.Program = slow
	}
	c.Start()
	c.WaitReady()
	return runningCluster(c)
}

// slowly is what makes a sync slow, in a program that is built for it.
const slowly = `const canSyncData = true

func later(err error) error {
	pause := unix.NsecToTimespec(1_500_000)
	for unix.Nanosleep(&pause, &pause) == unix.EINTR {
	}
	return err
}`

func runningCluster(c *harness.Cluster) running {
	r := running{}
	for _, n := range c.Followers() {
		r.reads = append(r.reads, n.URL()+base)
	}
	for _, n := range c.Nodes {
		r.writes = append(r.writes, n.URL()+base)
		r.pids = append(r.pids, n.Pid())
	}
	return r
}

func startCeiling(t *testing.T) running {
	addr := harness.FreeAddr(t)
	p := startProgram(t, "ceiling", harness.Binary(t), "bench", "ceiling", "--addr", addr)
	url := "http://" + addr + base
	answers(t, url+"/x", http.MethodPut)
	return running{writes: []string{url}, reads: []string{url}, pids: []int{p.Pid()}, blind: true}
}

func startReference(t *testing.T, file bool) running {
	script := filepath.Join(harness.Root(t), "test", "bench", "rival", "server.mjs")
	addr := harness.FreeAddr(t)
	_, port, _ := strings.Cut(addr, ":")
	args := []string{script, port}
	if file {
		args = append(args, harness.Dir(t))
	}
	p := startProgram(t, "reference", "node", args...)
	url := "http://" + addr + base
	answers(t, url+"/warm-up", http.MethodPut)
	return running{writes: []string{url}, reads: []string{url}, pids: []int{p.Pid()}}
}

func startProgram(t *testing.T, name, program string, args ...string) *harness.Process {
	t.Helper()
	p, err := harness.StartProcess(os.DevNull, nil, program, args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(p.Kill)
	return p
}

// answers waits until a server answers.
func answers(t *testing.T, url, method string) {
	t.Helper()
	const within = 20 * time.Second
	harness.Eventually(t, within, url+" to answer", func() error {
		r, err := http.NewRequest(method, url, nil)
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode >= http.StatusBadRequest {
			return fmt.Errorf("status %d", res.StatusCode)
		}
		return nil
	})
}
