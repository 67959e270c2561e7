package chaos

import (
	"bufio"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// How an operation ended, as its client may conclude.
const (
	resultOK      = "ok"
	resultRefused = "refused" // certainly not carried out
	resultUnknown = "unknown" // carried out or not, or still under way
)

// What was done.
const (
	opCreate  = "create"
	opAppend  = "append"  // without producer headers, sent once
	opProduce = "produce" // by an idempotent producer
	opClose   = "close"
	opDelete  = "delete"
	opFork    = "fork"
	opRead    = "read" // one catch-up read
	opHead    = "head"
	opTail    = "tail"  // what one event or poll of a live reader brought
	opFinal   = "final" // what a node holds at the end
	opFault   = "fault" // not of a client: from when to when one node, or several (no name), was away
)

// op is one line of a history: one thing that one client did. Times are
// nanoseconds since the run began.
type op struct {
	Client string `json:"client"`
	Kind   string `json:"op"`
	Stream string `json:"stream"`
	Node   string `json:"node,omitempty"`
	Call   int64  `json:"call"`
	Return int64  `json:"return"`
	Result string `json:"result"`
	Status int    `json:"status,omitempty"`
	Error  string `json:"error,omitempty"`

	Body     string `json:"body,omitempty"`     // sent, in the form in which it is stored
	Source   string `json:"source,omitempty"`   // of a fork
	Producer int    `json:"producer,omitempty"` // of a register: which of its producers, from 1
	Seq      int    `json:"seq,omitempty"`
	Again    bool   `json:"again,omitempty"` // answered as a repeat, or as done before
	From     string `json:"from,omitempty"`  // where a read began
	Next     string `json:"next,omitempty"`  // Stream-Next-Offset of the answer
	Bytes    int    `json:"bytes,omitempty"` // read, in the form in which they are stored
	Hash     uint64 `json:"hash,omitempty"`  // of those bytes
	UpToDate bool   `json:"up_to_date,omitempty"`
	Closed   bool   `json:"closed,omitempty"`
}

// setRead notes what a read brought.
func (o *op) setRead(wire string, next string, upToDate, closed bool) {
	o.Next, o.UpToDate, o.Closed = next, upToDate, closed
	o.Bytes, o.Hash = len(wire), hash(wire)
}

func hash(wire string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(wire)) // never fails
	return h.Sum64()
}

// history is all that the clients of one run did: in memory for the checkers,
// and as JSON lines in a file that is removed when the run is found good.
type history struct {
	start time.Time
	path  string

	mu   sync.Mutex // guards what follows
	ops  []op
	file *os.File
	out  *bufio.Writer
	err  error // of writing the file
}

// newHistory begins a history; the file goes when the test ends well.
func newHistory(t *testing.T, p plan, round int) *history {
	t.Helper()
	dir := os.Getenv(envKeep)
	if dir == "" {
		dir = os.TempDir()
	}
	name := fmt.Sprintf("mainstem-%s-seed%d-round%d-pid%d.jsonl", strings.ReplaceAll(t.Name(), "/", "-"), p.seed, round, os.Getpid())
	h := &history{start: time.Now(), path: filepath.Join(dir, name)}
	var err error
	if h.file, err = os.Create(h.path); err != nil {
		t.Fatal(err)
	}
	h.out = bufio.NewWriter(h.file)
	t.Cleanup(func() { h.end(t) })
	return h
}

func (h *history) now() int64 { return time.Since(h.start).Nanoseconds() }

// add records an operation that has ended.
func (h *history) add(o op) {
	line, err := json.Marshal(o)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, o)
	if err == nil {
		_, err = h.out.Write(append(line, '\n'))
	}
	if h.err == nil {
		h.err = err
	}
}

// all returns what was recorded so far.
func (h *history) all() []op {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ops[:len(h.ops):len(h.ops)]
}

// end keeps the file of a failed run and removes any other.
func (h *history) end(t *testing.T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file == nil {
		return
	}
	if err := h.out.Flush(); h.err == nil {
		h.err = err
	}
	if err := h.file.Close(); h.err == nil {
		h.err = err
	}
	h.file = nil
	if h.err != nil {
		t.Errorf("write the history: %v", h.err)
	}
	if t.Failed() {
		t.Logf("the history of this run is in %s; judge it again with %s=%s", h.path, envCheck, h.path)
		return
	}
	os.Remove(h.path)
}

// loadHistory reads a kept file.
func loadHistory(path string) ([]op, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read-only
	var ops []op
	lines := json.NewDecoder(bufio.NewReader(f))
	for lines.More() {
		var o op
		if err := lines.Decode(&o); err != nil {
			return nil, fmt.Errorf("%s, after %d operations: %w", path, len(ops), err)
		}
		ops = append(ops, o)
	}
	return ops, nil
}
