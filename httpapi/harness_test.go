package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/fsm"
	"mainstem/httpapi"
	"mainstem/storage"
	"mainstem/stream"
)

// machine is a real state machine over a store in memory, which commands reach
// without raft.
type machine struct {
	*fsm.Machine
	mu    sync.Mutex // guards index: one command after the other
	index uint64
}

func newMachine(tb testing.TB) *machine {
	tb.Helper()
	engine, err := storage.Open(storage.Config{Dir: "copy", FS: vfs.NewMem(), CacheBytes: 1 << 20, MemTableBytes: 4 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	m, err := fsm.New(engine, fsm.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := engine.Close(); err != nil {
			tb.Error(err)
		}
	})
	return &machine{Machine: m}
}

func (m *machine) submit(c stream.Command, at time.Time) stream.Result {
	envelope := stream.AppendToEnvelope(stream.NewEnvelope(nil), c)
	if err := errors.Join(stream.Stamp(envelope, stream.TimeOf(at)), stream.Agree(envelope, stream.Level)); err != nil {
		panic(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.index++
	answers := m.ApplyBatch([]*raft.Log{{Index: m.index, Term: 1, Type: raft.LogCommand, Data: envelope}})
	return answers[0].([]stream.Result)[0]
}

// node is what a Server talks to: the log, and a copy that may be behind it
// until somebody fences. Its faults are set by the tests.
type node struct {
	tb  testing.TB
	log *machine
	now func() time.Time

	mu        sync.Mutex // guards what follows
	behind    *machine   // what readers see until a fence; nil when the copy is current
	fences    int
	reads     int
	endLooks  int                    // for the ends of appends
	endTrap   func()                 // what happens before one of those
	traps     map[stream.Name]func() // what happens to a read before it is carried out
	submitted []stream.Command
	fenceErr  error // what Fence returns when its context ends; nil: it succeeds at once
	submitErr error
	contact   *time.Time // last contact with a leader; nil: now
	notReady  error
	frail     error // why the cluster bears no loss; nil: it does

	takeOver func(http.ResponseWriter, func()) (httpapi.Line, error) // nil: SSE stays with net/http
}

func newNode(tb testing.TB) *node {
	tb.Helper()
	return &node{tb: tb, log: newMachine(tb), now: time.Now}
}

// laggingNode is a node whose copy is behind; catchUp takes commands to both.
func laggingNode(tb testing.TB) *node {
	n := newNode(tb)
	n.behind = newMachine(tb)
	return n
}

// apply commits commands, and applies them to the copy that is behind as well
// if everywhere is set.
func (n *node) apply(everywhere bool, commands ...stream.Command) (next stream.Offset) {
	n.tb.Helper()
	for _, c := range commands {
		r := n.log.submit(c, n.now())
		if r.Rejection != nil {
			n.tb.Fatalf("%+v: %v", c, r.Rejection)
		}
		next = r.Outcome.Next
		if behind := n.copy(); everywhere && behind != n.log {
			behind.submit(c, n.now())
		}
	}
	return next
}

func (n *node) Submit(ctx context.Context, c stream.Command) (stream.Result, error) {
	n.mu.Lock()
	n.submitted = append(n.submitted, c)
	err := n.submitErr
	n.mu.Unlock()
	if err != nil {
		return stream.Result{}, err
	}
	return n.log.submit(c, n.now()), nil
}

func (n *node) Fence(ctx context.Context) error {
	n.mu.Lock()
	n.fences++
	err := n.fenceErr
	if err == nil {
		n.behind = nil
	}
	n.mu.Unlock()
	if err != nil {
		<-ctx.Done()
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

func (n *node) copy() *machine {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.behind != nil {
		return n.behind
	}
	return n.log
}

func (n *node) Info(name stream.Name) (stream.Info, bool, error) { return n.copy().Info(name) }

func (n *node) Read(name stream.Name, from stream.From, limit int) (stream.Chunk, error) {
	n.mu.Lock()
	n.reads++
	trap := n.traps[name]
	n.mu.Unlock()
	if trap != nil {
		trap()
	}
	return n.copy().Read(name, from, limit)
}

func (n *node) EachEnd(name stream.Name, chunk *stream.Chunk, visit func(stream.Offset)) error {
	n.mu.Lock()
	n.endLooks++
	trap := n.endTrap
	n.mu.Unlock()
	if trap != nil {
		trap()
	}
	return n.copy().EachEnd(name, chunk, visit)
}

func (n *node) List(prefix string, after stream.Name, visit func(stream.Name, *stream.State) bool) error {
	return n.copy().List(prefix, after, visit)
}

// Follow looks at whatever copy readers see by then.
func (n *node) Follow(name stream.Name) (func(stream.From, int) (stream.Chunk, <-chan struct{}, error), func()) {
	type look func(stream.From, int) (stream.Chunk, <-chan struct{}, error)
	looks, leaves := map[*machine]look{}, []func(){}
	return func(from stream.From, limit int) (stream.Chunk, <-chan struct{}, error) {
			m := n.copy()
			if looks[m] == nil {
				look, leave := m.Follow(name)
				looks[m], leaves = look, append(leaves, leave)
			}
			return looks[m](from, limit)
		}, func() {
			for _, leave := range leaves {
				leave()
			}
		}
}

func (n *node) Checks() []httpapi.Check { return []httpapi.Check{{Name: "leader", Err: n.notReady}} }
func (n *node) ClusterChecks() []httpapi.Check {
	return []httpapi.Check{{Name: "leader"}, {Name: "failure-tolerance", Err: n.frail}}
}
func (n *node) Status(context.Context) any { return map[string]any{"leader": "n1"} }

func (n *node) LeaderContact() (time.Time, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.contact == nil {
		return n.now(), true
	}
	return *n.contact, !n.contact.IsZero()
}

// loseLeader makes fences and writes fail, as after silence of some length.
func (n *node) loseLeader(silence time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := n.now().Add(-silence)
	n.fenceErr, n.submitErr, n.contact = errors.New("no leader"), errors.New("no leader"), &at
}

// failWrites makes writes fail until it is called with nil.
func (n *node) failWrites(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.submitErr = err
}

func (n *node) counts() (fences, touches, expires int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.submitted {
		switch c.(type) {
		case stream.Touch:
			touches++
		case stream.Expire:
			expires++
		}
	}
	return n.fences, touches, expires
}

// serve returns a server over the node. Its background work runs until the test
// ends.
func (n *node) serve(cfg httpapi.Config) *httpapi.Server {
	n.tb.Helper()
	if cfg.Now == nil {
		cfg.Now = n.now
	}
	cfg.TakeOver = n.takeOver
	if cfg.Jitter == nil {
		cfg.Jitter = func(int) int { return 0 }
	}
	s, err := httpapi.New(cfg, n, n, n, n)
	if err != nil {
		n.tb.Fatal(err)
	}
	return s
}

// run runs a server's background work until the returned function is called.
func run(s *httpapi.Server) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// answer is a response that can be looked at while it is written.
type answer struct {
	mu     sync.Mutex // guards all
	header http.Header
	status int
	body   bytes.Buffer
	done   bool
	stuck  chan struct{}   // not nil: writes fail as after a deadline
	left   context.Context // ends when the client leaves
	line   *line           // not nil: taken over
}

func newAnswer() *answer { return &answer{header: http.Header{}} }

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stuck != nil {
		return 0, errors.New("i/o timeout")
	}
	return a.body.Write(b)
}

func (a *answer) Flush() {}

func (a *answer) text() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.body.String()
}

func (a *answer) ended() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.done
}

// request makes a request as a server would have parsed it. Headers are pairs.
func request(method, target, body string, headers ...string) *http.Request {
	var r *http.Request
	if body == "" {
		r = httptest.NewRequest(method, target, nil)
	} else {
		r = httptest.NewRequest(method, target, strings.NewReader(body))
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// do carries out one request.
func do(s http.Handler, method, target, body string, headers ...string) *answer {
	return doRequest(s, request(method, target, body, headers...))
}

func doRequest(s http.Handler, r *http.Request) *answer {
	a := newAnswer()
	s.ServeHTTP(a, r)
	if a.line != nil {
		<-a.line.closed
	}
	a.done = true
	return a
}

// start carries out a request beside the test; cancel is the client leaving.
func start(s http.Handler, method, target string, headers ...string) (a *answer, cancel func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r := request(method, target, "", headers...).WithContext(ctx)
	a = newAnswer()
	a.left = ctx
	go func() {
		s.ServeHTTP(a, r)
		if a.line != nil {
			<-a.line.closed
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.done = true
	}()
	return a, cancel
}

// want fails the test unless the answer has a status and headers; a header that
// must be absent is wanted as "".
func (a *answer) want(t testing.TB, status int, headers ...string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.status != status {
		t.Fatalf("got status %d, want %d: %s", a.status, status, a.body.String())
	}
	for i := 0; i < len(headers); i += 2 {
		if got := a.header.Get(headers[i]); got != headers[i+1] {
			t.Fatalf("got %s %q, want %q", headers[i], got, headers[i+1])
		}
	}
}

// A few commands.

func create(name stream.Name, t stream.ContentType, data string) stream.Create {
	body, err := stream.Frame(t, []byte(data))
	if err != nil {
		panic(err)
	}
	return stream.Create{Name: name, ContentType: t, Body: body}
}

func appendTo(name stream.Name, t stream.ContentType, data string) stream.Append {
	body, err := stream.Frame(t, []byte(data))
	if err != nil {
		panic(err)
	}
	return stream.Append{Name: name, ContentType: t, Body: body}
}

func withTTL(c stream.Create, seconds int) stream.Create {
	text := fmt.Sprint(seconds)
	lifetime, err := stream.ParseLifetime(&text, nil)
	if err != nil {
		panic(err)
	}
	c.Lifetime = lifetime
	return c
}

const text stream.ContentType = "text/plain"

// endless is a body of so many bytes that counts what is read of it.
type endless struct {
	left, read int64
}

func (e *endless) Read(b []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(b)), e.left)
	e.left -= n
	e.read += n
	return int(n), nil
}
