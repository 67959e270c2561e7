package fsm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/fsm"
	"mainstem/storage"
	"mainstem/stream"
)

// node is a machine over a real engine in memory, driven without raft.
type node struct {
	t      testing.TB
	engine *storage.Engine
	*fsm.Machine
	index uint64
	now   stream.Time
}

const epoch stream.Time = 1_700_000_000_000

func openNode(t testing.TB, fs vfs.FS, cfg fsm.Config) *node {
	t.Helper()
	engine, err := storage.Open(storage.Config{Dir: "copy", FS: fs, CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	m, err := fsm.New(engine, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &node{t: t, engine: engine, Machine: m, index: engine.Globals().Applied, now: epoch}
}

func newNode(t testing.TB) *node { return openNode(t, vfs.NewMem(), fsm.Config{}) }

// entry is one log entry.
func entry(index uint64, at stream.Time, commands ...stream.Command) *raft.Log {
	e := stream.NewEnvelope(nil)
	for _, c := range commands {
		e = stream.AppendToEnvelope(e, c)
	}
	if err := errors.Join(stream.Stamp(e, at), stream.Agree(e, stream.Level)); err != nil {
		panic(err)
	}
	return &raft.Log{Index: index, Term: 1, Type: raft.LogCommand, Data: e}
}

// apply gives the commands to the machine as one entry.
func (n *node) apply(commands ...stream.Command) []stream.Result {
	n.index++
	return n.Apply(entry(n.index, n.now, commands...)).([]stream.Result)
}

// must applies one command that has to be accepted.
func (n *node) must(c stream.Command) stream.Outcome {
	n.t.Helper()
	r := n.apply(c)[0]
	if r.Rejection != nil {
		n.t.Fatalf("%+v: %v", c, r.Rejection)
	}
	return r.Outcome
}

// Wait follows a stream until a read at an offset gives something else than
// nothing from an open stream.
func (n *node) Wait(ctx context.Context, name stream.Name, at stream.Offset) error {
	look, leave := n.Follow(name)
	defer leave()
	for {
		chunk, bell, err := look(stream.FromOffset(at), 1)
		var no *stream.Rejection
		switch {
		case errors.As(err, &no):
			return nil
		case err != nil || chunk.Len() > 0 || chunk.Closed:
			return err
		}
		select {
		case <-bell:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (n *node) checksum() storage.Sum {
	n.t.Helper()
	sum, err := n.engine.Checksum(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	return sum
}

// read returns one chunk as text.
func (n *node) read(name stream.Name, from stream.From, limit int) (string, stream.Chunk) {
	n.t.Helper()
	chunk, err := n.Read(name, from, limit)
	if err != nil {
		n.t.Fatalf("read %q: %v", name, err)
	}
	return body(chunk), chunk
}

func body(c stream.Chunk) string { return string(bytes.Join(c.Body, nil)) }

// readAll follows a stream from the start to its tail in chunks, and returns
// what a client would see of them.
func (n *node) readAll(name stream.Name, limit int) (chunks []string, all string) {
	n.t.Helper()
	from := stream.From{}
	for {
		text, chunk := n.read(name, from, limit)
		chunks = append(chunks, fmt.Sprintf("%s %q", chunk.Next, text))
		all += text
		if chunk.UpToDate() {
			return chunks, all
		}
		if text == "" {
			n.t.Fatalf("%q: an empty chunk at %v before the tail %v", name, chunk.Next, chunk.Tail)
		}
		from = stream.FromOffset(chunk.Next)
	}
}

// refusal reads and returns the code of the rejection.
func (n *node) refusal(name stream.Name, from stream.From) stream.Code {
	n.t.Helper()
	chunk, err := n.Read(name, from, 100)
	var no *stream.Rejection
	if !errors.As(err, &no) {
		n.t.Fatalf("read %q gave %q, %v; want a rejection", name, body(chunk), err)
	}
	return no.Code
}

func create(name stream.Name, text string) stream.Create {
	return stream.Create{Name: name, ContentType: "text/plain", Body: stream.Payload{Data: []byte(text)}}
}

func add(name stream.Name, text string) stream.Append {
	return stream.Append{Name: name, ContentType: "text/plain", Body: stream.Payload{Data: []byte(text)}}
}

func forkOf(name, source stream.Name, offset *stream.Offset, sub uint64) stream.Create {
	return stream.Create{Name: name, Fork: &stream.Fork{Source: source, Offset: offset, SubOffset: sub}}
}

func ttl(t testing.TB, seconds string) stream.Lifetime {
	t.Helper()
	l, err := stream.ParseLifetime(&seconds, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var scriptNames = []stream.Name{"a", "b", "c", "d", "e"}

// script makes batches of commands of every kind, with the time of each batch.
// tails lets it name offsets that are likely to exist.
func script(t testing.TB, seed uint64, batches int) (commands [][]stream.Command, times []stream.Time) {
	g := rand.New(rand.NewPCG(seed, 3))
	name := func() stream.Name { return scriptNames[g.IntN(len(scriptNames))] }
	text := func() string { return "abcdefghijklmnop"[:1+g.IntN(12)] }
	now := epoch
	for range batches {
		var batch []stream.Command
		for range 1 + g.IntN(12) {
			switch k := g.IntN(100); {
			case k < 15:
				c := create(name(), text())
				if g.IntN(3) == 0 {
					c.Lifetime = ttl(t, "3")
				}
				switch g.IntN(4) {
				case 0:
					c.Retention.Bytes = uint64(1 + g.IntN(30))
				case 1:
					c.Retention.Age = uint64(1 + g.IntN(3))
				}
				batch = append(batch, c)
			case k < 30:
				c := forkOf(name(), name(), nil, 0)
				if g.IntN(2) == 0 {
					c.Fork.Offset = &stream.Offset{Incarnation: uint64(g.IntN(40)), Pos: uint64(g.IntN(20))}
				}
				if g.IntN(3) == 0 {
					c.Fork.Offset, c.Fork.SubOffset = &stream.Offset{}, uint64(g.IntN(4))
				}
				batch = append(batch, c)
			case k < 38:
				c := stream.Trim{Name: name()}
				if g.IntN(3) == 0 {
					c.To = &stream.Offset{Incarnation: uint64(1 + g.IntN(40)), Pos: uint64(g.IntN(20))}
				}
				batch = append(batch, c)
			case k < 88:
				c := add(name(), text())
				c.Close = g.IntN(40) == 0
				if g.IntN(3) == 0 {
					c.Producer = &stream.Producer{ID: "p", Epoch: uint64(g.IntN(2)), Seq: uint64(g.IntN(4))}
				}
				batch = append(batch, c)
			case k < 93:
				batch = append(batch, stream.Delete{Name: name()})
			case k < 97:
				batch = append(batch, stream.Touch{Name: name()})
			default:
				batch = append(batch, stream.Expire{Name: name()})
			}
		}
		now += stream.Time(g.IntN(900))
		commands, times = append(commands, batch), append(times, now)
	}
	return commands, times
}
