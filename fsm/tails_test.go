package fsm_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/fsm"
	"mainstem/stream"
)

// stored digests what lies under the name of a stream, as it is stored.
func (n *node) stored(name stream.Name) string {
	n.t.Helper()
	v, err := n.engine.View()
	if err != nil {
		n.t.Fatal(err)
	}
	defer v.Close()
	sum, err := v.Sum(n.t.Context(), "s"+string(name), 1, unpaced)
	if err != nil || sum.Keys != 1 {
		n.t.Fatalf("%+v, %v", sum, err)
	}
	return sum.Hash
}

// cold is what a machine says that finds nothing in memory.
func (n *node) cold() *node {
	n.t.Helper()
	m, err := fsm.New(n.engine, fsm.Config{})
	if err != nil {
		n.t.Fatal(err)
	}
	other := *n
	other.Machine = m
	return &other
}

// atLevel is apply with an entry of a level.
func (n *node) atLevel(level byte, commands ...stream.Command) []stream.Result {
	n.index++
	l := entry(n.index, n.now, commands...)
	l.Data[0] = level
	return n.Apply(l).([]stream.Result)
}

func (n *node) wantCold() {
	n.t.Helper()
	if got, want := n.cold().view(), n.view(); !slices.Equal(got, want) {
		n.t.Fatalf("from the copy:\n%v\nin memory:\n%v", got, want)
	}
}

func TestAnAppendWritesNoState(t *testing.T) {
	n := newNode(t)
	n.must(create("a", "one"))
	was := n.stored("a")
	for range 3 {
		n.apply(add("a", "two"), add("a", "three"))
		n.wantCold()
	}
	if got := n.stored("a"); got != was {
		t.Fatal("appends changed what is stored")
	}
	for name, c := range map[string]stream.Command{
		"a trim to the tail": stream.Trim{Name: "a", To: &stream.Offset{Incarnation: 1, Pos: 27}},
		"a Stream-Seq":       stream.Append{Name: "a", ContentType: "text/plain", Seq: "1", Body: stream.Payload{Data: []byte("x")}},
		"a fork":             forkOf("b", "a", nil, 0),
	} {
		n.must(c)
		if got := n.stored("a"); got == was {
			t.Fatalf("%s left what is stored as it was", name)
		}
		was = n.stored("a")
		n.must(add("a", "more"))
		n.wantCold()
	}
	was = n.stored("a")
	end := add("a", "end")
	end.Close = true
	n.must(end)
	if n.stored("a") == was {
		t.Fatal("the end of the stream is not stored")
	}
	n.wantCold()
}

// An entry of before all members knew of it writes as their versions do.
func TestAnEntryOfAnOlderLevelWritesEachState(t *testing.T) {
	n := newNode(t)
	n.atLevel(stream.LevelOldest, create("a", "one"))
	for range 2 {
		was := n.stored("a")
		n.atLevel(stream.LevelOldest, add("a", "two"))
		if n.stored("a") == was {
			t.Fatal("an append left the state as it was")
		}
	}
	if n.engine.Globals().Tails {
		t.Fatal("the copy says that its states are behind their records")
	}
	n.must(add("a", "three"))
	if !n.engine.Globals().Tails {
		t.Fatal("the copy does not say that its states are behind their records")
	}
	n.atLevel(stream.LevelOldest, add("b", "from a leader that knows less"))
	if !n.engine.Globals().Tails {
		t.Fatal("the copy does not say so any more")
	}
	n.wantCold()
}

// What is read from the copy is what is in memory, whatever was done to the streams,
// and at any mixture of levels; and so it is after a power cut.
func TestColdStatesAreThoseInMemory(t *testing.T) {
	for seed := range uint64(6) {
		commands, times := script(t, seed, 60)
		g := rand.New(rand.NewPCG(seed, 7))
		fs := vfs.NewMem()
		n, exact := openNode(t, fs, fsm.Config{}), newNode(t)
		for i, batch := range commands {
			n.now, exact.now = times[i], times[i]
			level := stream.LevelTails - byte(g.IntN(4)/3)
			got, want := n.atLevel(level, batch...), exact.atLevel(stream.LevelOldest, batch...)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, batch %d: got %+v, with states that are always written %+v", seed, i, got, want)
			}
			n.wantCold()
			if got, want := n.list(), exact.list(); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, batch %d: listed\n%v\nwant\n%v", seed, i, got, want)
			}
		}
		if got, want := n.engine.Globals().Stored, exact.engine.Globals().Stored; got != want {
			t.Fatalf("seed %d: %d bytes are counted, want %d", seed, got, want)
		}
	}
}

func (n *node) list() map[stream.Name]stream.State {
	n.t.Helper()
	all := map[stream.Name]stream.State{}
	err := n.List("", "", func(name stream.Name, s *stream.State) bool {
		all[name] = *s
		return true
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return all
}
