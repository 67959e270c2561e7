package fsm

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"

	"mainstem/stream"
)

// What goes into the copy beside the bytes that are appended must not creep up: all
// of it is written, and written again by compactions, on every node.
func TestAnAppendPutsLittleBesideItsBytesIntoTheCopy(t *testing.T) {
	const size, entries = 256, 10
	for name, tt := range map[string]struct {
		streams, each int
		most          float64 // bytes for each that is appended
	}{
		"one, alone":       {1, 1, 1.27},
		"32 of 32 streams": {32, 1, 1.15},
		"32 of one stream": {1, 32, 1.055},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t)
			session := r.openSession()
			var commands []stream.Command
			for i := range tt.streams {
				name := stream.Name(fmt.Sprintf("streams/of-a-usual-length-%04d", i))
				r.propose(0, 0, 0, stream.Create{Name: name, ContentType: "application/json"})
				for range tt.each {
					commands = append(commands, stream.Append{Name: name, ContentType: "application/json",
						Body: stream.Payload{Data: make([]byte, size), Messages: []uint32{size}}})
				}
			}
			put := 0
			for i := range uint64(entries) {
				e := stream.NewEnvelope(nil)
				for _, c := range commands {
					e = stream.AppendToEnvelope(e, c)
				}
				stream.Address(e, session, i+1, i+1)
				if err := stream.Agree(e, stream.Level); err != nil {
					t.Fatal(err)
				}
				put += r.staged(e)
			}
			got := float64(put) / float64(entries*len(commands)*size)
			t.Logf("%.4f bytes for each", got)
			if got < 1 || got > tt.most {
				t.Fatalf("%.3f bytes are put for each that is appended, at most %v are due", got, tt.most)
			}
		})
	}
}

// staged applies an entry and returns how many bytes it puts into the copy.
func (r *replica) staged(entry []byte) int {
	r.t.Helper()
	r.index++
	txn := r.machine.txn
	if _, err := r.machine.applyEntry(&raft.Log{Index: r.index, Term: 1, Type: raft.LogCommand, Data: entry}); err != nil {
		r.t.Fatal(err)
	}
	for _, s := range txn.dirty {
		txn.stage(s)
	}
	n := txn.batch.Bytes()
	txn.globals.Applied = r.index
	r.machine.commit()
	return n
}
