package fsm_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/fsm"
	"mainstem/stream"
)

// view is all that a client can see of a node.
func (n *node) view() []string {
	n.t.Helper()
	var seen []string
	for _, name := range scriptNames {
		info, ok, err := n.Info(name)
		if err != nil {
			n.t.Fatal(err)
		}
		seen = append(seen, fmt.Sprintf("%s %v %+v", name, ok, info))
		if !ok || info.Deleted {
			continue
		}
		for _, limit := range []int{0, 1, 7, 13, 1 << 20} {
			chunks, _ := n.readAll(name, limit)
			seen = append(seen, fmt.Sprintf("%s by %d: %v", name, limit, chunks))
		}
	}
	return seen
}

func TestCoalescingNeverShows(t *testing.T) {
	for seed := range uint64(8) {
		commands, times := script(t, seed, 60)

		together, apart := newNode(t), newNode(t)
		var resultsTogether, resultsApart []stream.Result
		for i, batch := range commands {
			together.now, apart.now = times[i], times[i]
			resultsTogether = append(resultsTogether, together.apply(batch...)...)
			for _, c := range batch {
				resultsApart = append(resultsApart, apart.apply(c)...)
			}
			if i%10 == 9 {
				if got, want := together.view(), apart.view(); !slices.Equal(got, want) {
					t.Fatalf("seed %d, batch %d: together\n%v\napart\n%v", seed, i, got, want)
				}
			}
		}
		accepted := 0
		for i := range resultsApart {
			if !reflect.DeepEqual(resultsTogether[i], resultsApart[i]) {
				t.Fatalf("seed %d, command %d: together %+v, apart %+v", seed, i, resultsTogether[i], resultsApart[i])
			}
			if resultsApart[i].Rejection == nil {
				accepted++
			}
		}
		if accepted < 50 {
			t.Fatalf("seed %d: only %d commands of %d were accepted: the script proves little", seed, accepted, len(resultsApart))
		}
	}
}

// How raft hands entries to the machine differs between replicas, and so does
// when each was flushed. Their copies must not.
func TestGroupingLeavesTheSameCopy(t *testing.T) {
	for seed := range uint64(8) {
		commands, times := script(t, seed, 60)
		logs := []*raft.Log{entry(1, epoch, stream.OpenSession{})} // the first that is drawn
		for i := range commands {
			l := entry(uint64(i+2), times[i], commands[i]...)
			stream.Address(l.Data, 1, uint64(i+1), uint64(i+1-i%7))
			if i%5 == 4 {
				l.Data[0] = stream.LevelOldest // from a leader that knows less of the members
			}
			logs = append(logs, l)
		}
		one := newNode(t)
		var want []any
		for _, l := range logs {
			want = append(want, one.Apply(l))
		}
		for variant := range uint64(4) {
			other := newNode(t)
			g := rand.New(rand.NewPCG(seed, variant))
			var got []any
			for rest := logs; len(rest) > 0; {
				n := min(1+g.IntN(20), len(rest))
				if variant == 3 {
					n = len(rest)
				}
				got = append(got, other.ApplyBatch(rest[:n])...)
				rest = rest[n:]
				if g.IntN(3) == 0 {
					if err := other.engine.Flush(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, variant %d: results differ", seed, variant)
			}
			if got, want := other.checksum(), one.checksum(); got != want {
				t.Fatalf("seed %d, variant %d: %+v; one by one %+v", seed, variant, got, want)
			}
			if got, want := other.view(), one.view(); !slices.Equal(got, want) {
				t.Fatalf("seed %d, variant %d: views differ:\n%v\n%v", seed, variant, got, want)
			}
		}
	}
}

// A fork in the same entry as its source's appends, in the next entry of the
// same commit, and after the commit, sees the same appends.
func TestForkSeesAppendsWhereverTheyAre(t *testing.T) {
	commands := []stream.Command{create("src", "aa"), add("src", "bbb"), add("src", "cccc"),
		forkOf("f", "src", &stream.Offset{Incarnation: 1, Pos: 5}, 2), forkOf("g", "f", &stream.Offset{Incarnation: 1, Pos: 2}, 3),
		forkOf("bad", "src", &stream.Offset{Incarnation: 1, Pos: 4}, 0), forkOf("over", "src", &stream.Offset{Incarnation: 1, Pos: 2}, 4),
		add("f", "!"), stream.Delete{Name: "src"}}
	for name, groups := range map[string][][][]stream.Command{
		"one entry":        {{commands}},
		"two in a commit":  {{commands[:3], commands[3:]}},
		"two commits":      {{commands[:3]}, {commands[3:]}},
		"split source":     {{commands[:1]}, {commands[1:2], commands[2:]}},
		"after each other": {{commands[:4]}, {commands[4:7]}, {commands[7:]}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			var results []stream.Result
			for _, entries := range groups {
				var logs []*raft.Log
				for _, e := range entries {
					n.index++
					logs = append(logs, entry(n.index, epoch, e...))
				}
				for _, answer := range n.ApplyBatch(logs) {
					results = append(results, answer.([]stream.Result)...)
				}
			}
			for i, code := range map[int]stream.Code{5: stream.BadOffset, 6: stream.BadSubOffset} {
				if no := results[i].Rejection; no == nil || no.Code != code {
					t.Fatalf("command %d: %+v, want code %d", i, results[i], code)
				}
			}
			for name, want := range map[stream.Name]string{"f": "aabbbcc!", "g": "aabbb"} {
				if _, got := n.readAll(name, 3); got != want {
					t.Fatalf("%s reads %q, want %q", name, got, want)
				}
			}
			if code := n.refusal("src", stream.From{}); code != stream.Gone {
				t.Fatalf("the source answers %d", code)
			}
		})
	}
}

func TestConfigurationEntriesCountAsApplied(t *testing.T) {
	var hooks [][2]uint64
	n := newNode(t)
	m := openNode(t, vfs.NewMem(), fsm.Config{Committed: func(index, term uint64) { hooks = append(hooks, [2]uint64{index, term}) }})
	logs := []*raft.Log{entry(1, epoch, create("a", "x")), {Index: 2, Term: 2, Type: raft.LogConfiguration, Data: []byte("members")}}
	answers := m.ApplyBatch(logs)
	if answers[0] == nil || answers[1] != nil || m.Applied() != 2 {
		t.Fatalf("answers %v, applied %d", answers, m.Applied())
	}
	m.ApplyBatch([]*raft.Log{{Index: 5, Term: 3, Type: raft.LogConfiguration}}) // 3 and 4 were Noop and Barrier
	if want := [][2]uint64{{2, 2}, {5, 3}}; !reflect.DeepEqual(hooks, want) || m.Applied() != 5 {
		t.Fatalf("told of %v, applied %d; want %v", hooks, m.Applied(), want)
	}
	n.apply(create("a", "x"))
	if n.checksum().Hash != m.checksum().Hash {
		t.Fatal("entries without commands change the checksum")
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	n := newNode(t)
	c := create("a", "x")
	c.Lifetime = ttl(t, "10")
	n.must(c)
	n.now = epoch + 9_000
	n.must(create("b", "x"))
	n.now = epoch - 1_000_000 // a leader whose clock is behind
	n.must(stream.Touch{Name: "a"})
	info, _, _ := n.Info("a")
	if got, want := info.Deadline, epoch+19_000; got != want {
		t.Fatalf("deadline %d after the start, want %d", got-epoch, want-epoch)
	}
	if got := n.engine.Globals().Now; got != epoch+9_000 {
		t.Fatalf("machine time %d after the start", got-epoch)
	}
}
