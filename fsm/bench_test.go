package fsm_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/fsm"
	"mainstem/storage"
	"mainstem/stream"
	"mainstem/test/harness"
)

// appends makes entries of a session that append to streams in turn, as writers
// of small messages do.
type appends struct {
	n       *node
	session uint64
	names   []stream.Name
	body    stream.Payload
	next    int
	entry   []byte
	log     raft.Log
	logs    []*raft.Log
	seq     uint64
}

func newAppends(t testing.TB, streams, bytesEach int) *appends {
	engine, err := storage.Open(storage.Config{Dir: "copy", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	m, err := fsm.New(engine, fsm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	a := &appends{n: &node{t: t, engine: engine, Machine: m, now: epoch}}
	a.session = a.n.must(stream.OpenSession{}).Session
	for i := range streams {
		name := stream.Name(fmt.Sprintf("bench/stream-%04d", i*7919%streams))
		a.n.must(stream.Create{Name: name, ContentType: "application/json"})
		a.names = append(a.names, name)
	}
	body := append(bytes.Repeat([]byte("x"), bytesEach-1), ',')
	a.body = stream.Payload{Data: body, Messages: []uint32{uint32(len(body))}}
	a.logs = []*raft.Log{&a.log}
	return a
}

// apply applies one entry of n appends.
func (a *appends) apply(n int) {
	a.entry = stream.NewEnvelope(a.entry[:0])
	for range n {
		name := a.names[a.next%len(a.names)]
		a.next++
		a.entry = stream.AppendToEnvelope(a.entry, stream.Append{Name: name, ContentType: "application/json", Body: a.body})
	}
	a.seq++
	stream.Address(a.entry, a.session, a.seq, a.seq)
	if err := errors.Join(stream.Stamp(a.entry, a.n.now), stream.Agree(a.entry, stream.Level)); err != nil {
		a.n.t.Fatal(err)
	}
	a.n.index++
	a.log = raft.Log{Index: a.n.index, Term: 1, Type: raft.LogCommand, Data: a.entry}
	a.n.ApplyBatch(a.logs)
}

func BenchmarkApply(b *testing.B) {
	for _, v := range []struct{ streams, batch int }{{1, 1}, {1, 32}, {256, 32}, {4096, 32}, {4096, 1000}} {
		b.Run(fmt.Sprintf("%d streams, %d an entry", v.streams, v.batch), func(b *testing.B) {
			a := newAppends(b, v.streams, 256)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				a.apply(v.batch)
				n += v.batch
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/append")
		})
	}
}

// What is allocated for one append must not creep up: every node pays it.
func TestApplyAllocatesLittle(t *testing.T) {
	if harness.Race {
		t.Skip("the race detector allocates too")
	}
	for name, test := range map[string]struct {
		streams, batch int
		most           float64 // for an append
	}{
		"alone":              {1, 1, 10.5},
		"32 of one stream":   {1, 32, 5.5},
		"32 of 32 streams":   {256, 32, 5.5},
		"1000 of 1000":       {1000, 1000, 5.5},
		"1000 of one stream": {1, 1000, 5.5},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAppends(t, test.streams, 64)
			a.apply(test.batch)
			if got := testing.AllocsPerRun(50, func() { a.apply(test.batch) }) / float64(test.batch); got > test.most {
				t.Fatalf("%.2f allocations for an append, at most %v are due", got, test.most)
			} else {
				t.Logf("%.2f allocations for an append", got)
			}
		})
	}
}
