package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	loadWriters   = 64
	loadStreams   = 16
	loadJSONEvery = 4 // each fourth stream is JSON
	ackWithin     = 40 * time.Second
	textLine      = "w%02d-%06d\n"
)

// load is 64 writers with idempotent producers, four to a stream, that each
// send one append after the other until they are told to stop.
type load struct {
	t       *testing.T
	streams []*loadStream
	writers []*writer
	stop    chan struct{}
	wait    sync.WaitGroup
	acked   atomic.Int64
	failed  atomic.Pointer[error] // the first of a writer, so that the test need not wait
	gap     harness.Gap
}

type loadStream struct {
	name    string
	json    bool
	writers []*writer
}

type writer struct {
	number   int
	producer harness.Producer
	acks     []harness.Ack
	err      error
}

// startLoad creates the streams and starts the writers. Each has its own way
// through the given base URLs, which it changes when a request fails.
func startLoad(t *testing.T, urls []string) *load {
	t.Helper()
	var clients []*harness.Client
	for _, u := range urls {
		clients = append(clients, harness.NewClient(u))
	}
	l := &load{t: t, stop: make(chan struct{})}
	for i := range loadStreams {
		s := &loadStream{name: fmt.Sprintf("load/%02d", i), json: i%loadJSONEvery == loadJSONEvery-1}
		a, err := clients[i%len(clients)].Create(s.name, harness.Headers("Content-Type", s.contentType()), "")
		if err != nil || a.Status != 201 {
			t.Fatalf("create %s: %s, %v", s.name, a, err)
		}
		l.streams = append(l.streams, s)
	}
	for i := range loadWriters {
		s := l.streams[i%len(l.streams)]
		own := append(append([]*harness.Client{}, clients[i%len(clients):]...), clients[:i%len(clients)]...)
		w := &writer{number: i, producer: harness.Producer{
			ID: fmt.Sprintf("writer-%02d", i), Stream: s.name, ContentType: s.contentType(), Clients: own,
		}}
		s.writers = append(s.writers, w)
		l.writers = append(l.writers, w)
	}
	l.gap.Start()
	for i, w := range l.writers {
		l.wait.Go(func() { l.write(w, l.streams[i%len(l.streams)]) })
	}
	return l
}

func (s *loadStream) contentType() string {
	if s.json {
		return "application/json"
	}
	return "text/plain"
}

// body is the append number seq of a writer. The two messages of a JSON body
// must stay together.
func (s *loadStream) body(w, seq int) string {
	if s.json {
		return fmt.Sprintf(`[{"w":%d,"s":%d,"half":0},{"w":%d,"s":%d,"half":1}]`, w, seq, w, seq)
	}
	return fmt.Sprintf(textLine, w, seq)
}

func (l *load) write(w *writer, s *loadStream) {
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		ctx, cancel := context.WithTimeoutCause(context.Background(), ackWithin, errors.New("no acknowledgement in time"))
		ack, err := w.producer.Append(ctx, s.body(w.number, w.producer.Seq))
		cancel()
		if err != nil {
			w.err = err
			l.failed.CompareAndSwap(nil, &err)
			return
		}
		w.acks = append(w.acks, ack)
		l.acked.Add(1)
		l.gap.Tick()
	}
}

// finish lets each writer end with an acknowledgement. It fails the test when
// one got an answer no valid request may get.
func (l *load) finish() {
	l.t.Helper()
	close(l.stop)
	l.wait.Wait()
	for _, w := range l.writers {
		if w.err != nil {
			l.t.Errorf("writer %d: %v", w.number, w.err)
		}
		if len(w.acks) == 0 && w.err == nil {
			l.t.Errorf("writer %d has no acknowledgement: there was no load", w.number)
		}
	}
	if l.t.Failed() {
		l.t.FailNow()
	}
}

// waitAcks waits for some more acknowledgements, so that faults hit a load that
// runs.
func (l *load) waitAcks(more int64) {
	l.t.Helper()
	want := l.acked.Load() + more
	harness.Eventually(l.t, ackWithin, fmt.Sprintf("%d more acknowledgements", more), func() error {
		if err := l.failed.Load(); err != nil {
			l.t.Fatalf("a writer has failed: %v", *err)
		}
		if n := l.acked.Load(); n < want {
			return fmt.Errorf("%d of %d", n, want)
		}
		return nil
	})
}

// tell prints what happened.
func (l *load) tell(kills int) {
	tries, retries, duplicates := 0, 0, 0
	for _, w := range l.writers {
		tries += w.producer.Tries
		retries += w.producer.Retries
		for _, a := range w.acks {
			if a.Duplicate {
				duplicates++
			}
		}
	}
	l.t.Logf("%d writers on %d streams: %d appends acknowledged (%d as duplicates of a lost answer), %d requests, %d retries, %d kills, longest gap between acknowledgements %v",
		len(l.writers), len(l.streams), l.acked.Load(), duplicates, tries, retries, kills, l.gap.Longest())
}

// message is one message of the load as a reader sees it.
type message struct {
	Writer int `json:"w"`
	Seq    int `json:"s"`
	Half   int `json:"half"`
}

func (s *loadStream) parse(c harness.Content) ([]message, error) {
	var out []message
	if s.json {
		err := json.Unmarshal(c.JSON(), &out)
		return out, err
	}
	for line := range strings.Lines(string(c.Bytes())) {
		var m message
		if _, err := fmt.Sscanf(line, textLine, &m.Writer, &m.Seq); err != nil || line != fmt.Sprintf(textLine, m.Writer, m.Seq) {
			return nil, fmt.Errorf("line %q is none that was sent", line)
		}
		out = append(out, m)
	}
	return out, nil
}
