package fsm_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"mainstem/stream"
)

// bundle makes one entry of batches, each of the session of its node.
func bundle(n *node, sessions []uint64, sequence uint64, batches ...[]stream.Command) *raft.Log {
	var envelopes [][]byte
	for i, batch := range batches {
		e := stream.NewEnvelope(nil)
		for _, c := range batch {
			e = stream.AppendToEnvelope(e, c)
		}
		stream.Address(e, sessions[i], sequence, sequence)
		envelopes = append(envelopes, e)
	}
	entry := stream.Bundle(envelopes)
	if err := errors.Join(stream.Stamp(entry, n.now), stream.Agree(entry, stream.Level)); err != nil {
		n.t.Fatal(err)
	}
	n.index++
	return &raft.Log{Index: n.index, Term: 1, Type: raft.LogCommand, Data: entry}
}

func TestBundleIsAnsweredEnvelopeByEnvelope(t *testing.T) {
	n := newNode(t)
	n.must(stream.Create{Name: "a", ContentType: "text/plain"})
	sessions := []uint64{n.must(stream.OpenSession{}).Session, n.must(stream.OpenSession{}).Session}
	text := func(s string) stream.Command {
		return stream.Append{Name: "a", ContentType: "text/plain", Body: stream.Payload{Data: []byte(s)}}
	}
	first := []stream.Command{text("one "), stream.Delete{Name: "none"}}
	second := []stream.Command{text("two")}

	got := n.Apply(bundle(n, sessions, 1, first, second)).([][]stream.Result)
	if len(got) != 2 || len(got[0]) != 2 || len(got[1]) != 1 {
		t.Fatalf("answers of %d envelopes: %+v", len(got), got)
	}
	if no := got[0][1].Rejection; no == nil || no.Code != stream.NotFound {
		t.Fatalf("the second command was answered %+v", got[0][1])
	}
	if got[0][0].Outcome.Next.Pos != 4 || got[1][0].Outcome.Next.Pos != 7 {
		t.Fatalf("appended up to %v and %v, want 4 and 7", got[0][0].Outcome.Next, got[1][0].Outcome.Next)
	}

	// Proposed again, in other company: what is known is answered, what is new is applied.
	third := []stream.Command{text(" three")}
	again := n.Apply(bundle(n, []uint64{sessions[1], sessions[0]}, 1, second, first)).([][]stream.Result)
	if want := [][]stream.Result{got[1], got[0]}; !reflect.DeepEqual(again, want) {
		t.Fatalf("repeated: %+v, want %+v", again, want)
	}
	alone := n.Apply(bundle(n, sessions, 2, third)).([]stream.Result)
	if len(alone) != 1 || alone[0].Outcome.Next.Pos != 13 {
		t.Fatalf("an envelope alone was answered %+v", alone)
	}
	if chunks, _ := n.readAll("a", 1<<20); !strings.Contains(fmt.Sprint(chunks), "one two three") {
		t.Fatalf("the stream holds %q", chunks)
	}
}

// How batches fall into entries must not show.
func TestBundlingNeverShows(t *testing.T) {
	for seed := range uint64(8) {
		commands, times := script(t, seed, 60)
		together, apart := newNode(t), newNode(t)
		none := make([]uint64, 3)
		for i := 0; i+2 < len(commands); i += 3 {
			together.now, apart.now = times[i], times[i]
			got := together.Apply(bundle(together, none, 0, commands[i:i+3]...)).([][]stream.Result)
			for k, batch := range commands[i : i+3] {
				if want := apart.apply(batch...); !reflect.DeepEqual(got[k], want) && len(batch) > 0 {
					t.Fatalf("seed %d, batch %d: together %+v, apart %+v", seed, i+k, got[k], want)
				}
			}
		}
		if got, want := together.view(), apart.view(); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: together\n%v\napart\n%v", seed, got, want)
		}
	}
}
