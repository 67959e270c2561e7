package harness

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	readyWithin = 30 * time.Second
	stopWithin  = 30 * time.Second // what the product promises
	pollEvery   = 20 * time.Millisecond
)

// Node is one Mainstem node: a data directory, three addresses, and at most one
// process at a time.
type Node struct {
	ID         string
	Dir        string // data directory
	Addr       string // HTTP
	PeerAddr   string
	GossipAddr string
	Join       []string
	Expect     int
	Args       []string // more arguments of serve
	Program    string   // that runs; "" for the one under test
	LogPath    string
	Wrap       []string // a program and its arguments that runs ours, such as strace
	Bearer     string   // the key with which the harness asks the node about itself; "" for none
	Dial       Dial     // how a client reaches the node; nil for the plain way

	t    testing.TB
	proc *Process
}

// NewNode prepares a node under dir; nothing runs yet. Its process, if any, is
// killed when the test ends, and its log shown if the test has failed.
func NewNode(t testing.TB, dir, id string) *Node {
	t.Helper()
	n := &Node{
		ID: id, Dir: filepath.Join(dir, id), LogPath: filepath.Join(dir, id+".log"), Expect: 1, t: t,
		Addr: FreeAddr(t), PeerAddr: FreeAddr(t), GossipAddr: FreeAddr(t),
	}
	showLogOnFailure(t, "node "+id, n.LogPath)
	t.Cleanup(n.End)
	return n
}

// Dir returns a directory for the nodes of a test. It is kept when the test
// fails and MAINSTEM_KEEP is set.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mainstem-"+strings.ReplaceAll(t.Name(), "/", "-")+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("MAINSTEM_KEEP") != "" {
			t.Logf("data directories kept in %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	return dir
}

// ServeArgs returns the command line of this node, without the program.
func (n *Node) ServeArgs() []string {
	args := []string{"serve", "--node-id", n.ID, "--data-dir", n.Dir,
		"--addr", n.Addr, "--peer-addr", n.PeerAddr, "--gossip-addr", n.GossipAddr,
		"--bootstrap-expect", strconv.Itoa(n.Expect)}
	if len(n.Join) > 0 {
		args = append(args, "--join", strings.Join(n.Join, ","))
	}
	return append(args, n.Args...)
}

// Start starts the node's process. It does not wait until it is ready.
func (n *Node) Start() {
	n.t.Helper()
	if n.Running() {
		n.t.Fatalf("node %s runs already", n.ID)
	}
	program := n.Program
	if program == "" {
		program = Binary(n.t)
	}
	line := append(append(append([]string{}, n.Wrap...), program), n.ServeArgs()...)
	p, err := StartProcess(n.LogPath, nil, line[0], line[1:]...)
	if err != nil {
		n.t.Fatalf("node %s: %v", n.ID, err)
	}
	n.proc = p
}

// RunIn says that the node runs within a process that the test has started,
// together with others: to stop one is to stop all.
func (n *Node) RunIn(p *Process) { n.proc = p }

// Pid is the process that runs, or ran last.
func (n *Node) Pid() int { return n.proc.cmd.Process.Pid }

// Running tells whether the node's process lives.
func (n *Node) Running() bool { return n.proc != nil && n.proc.Running() }

// Kill ends the process as a crash would.
func (n *Node) Kill() {
	n.t.Helper()
	if !n.Running() {
		n.t.Fatalf("node %s was to be killed and had ended by itself", n.ID)
	}
	n.proc.Kill()
}

// End ends the process as a crash would, if it has not ended by itself.
func (n *Node) End() {
	if n.Running() {
		n.proc.Kill()
	}
}

// Terminate asks the process to stop and returns at once.
func (n *Node) Terminate() {
	n.t.Helper()
	if err := n.proc.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatalf("stop node %s: %v", n.ID, err)
	}
}

// Exit waits for the end of the process and returns its exit code.
func (n *Node) Exit(within time.Duration) int {
	n.t.Helper()
	code, err := n.proc.Wait(within)
	if err != nil {
		n.t.Fatalf("node %s: %v", n.ID, err)
	}
	return code
}

// Stop ends the process in good order and checks that it says so.
func (n *Node) Stop() {
	n.t.Helper()
	n.Terminate()
	if code := n.Exit(stopWithin); code != 0 {
		n.t.Fatalf("node %s left with %d after SIGTERM, want 0", n.ID, code)
	}
}

// Pause freezes the process; Resume lets it go on.
func (n *Node) Pause() { n.signal(syscall.SIGSTOP) }

// Freeze is Pause, and returns when none of the process's threads runs or will
// come back from the kernel.
func (n *Node) Freeze() {
	n.t.Helper()
	n.Pause()
	Eventually(n.t, stopWithin, "node "+n.ID+" frozen", func() error { return n.proc.frozen() })
}

// Resume undoes Pause.
func (n *Node) Resume() { n.signal(syscall.SIGCONT) }

func (n *Node) signal(s syscall.Signal) {
	n.t.Helper()
	if err := n.proc.Signal(s); err != nil {
		n.t.Fatalf("signal node %s: %v", n.ID, err)
	}
}

// Log returns the last lines the node has printed.
func (n *Node) Log() string { return LogTail(n.LogPath, logLinesShown) }

// URL is the node's base URL.
func (n *Node) URL() string { return "http://" + n.Addr }

// Client returns a client of this node alone.
func (n *Node) Client() *Client { return NewClientVia(n.URL(), n.Dial) }

// Eventually fails the test unless a condition comes true in time; the last
// error is part of the failure.
func Eventually(t testing.TB, within time.Duration, what string, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		time.Sleep(pollEvery)
	}
}
