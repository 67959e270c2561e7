package fsm_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/fsm"
	"mainstem/stream"
)

// A power cut leaves the copy as it was at some flush. Raft then replays the
// log from anywhere before that: nothing is lost, nothing is applied twice.
func TestReplayAfterAPowerCutGivesTheSameCopy(t *testing.T) {
	commands, times := script(t, 11, 40)
	var logs []*raft.Log
	for i := range commands {
		logs = append(logs, entry(uint64(i+1), times[i], commands[i]...))
	}
	whole := newNode(t)
	var answers []any
	for _, l := range logs {
		answers = append(answers, whole.Apply(l))
	}
	for flushed := 0; flushed <= len(logs); flushed += 3 {
		t.Run(fmt.Sprint("flushed at ", flushed), func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			before := openNode(t, fs, fsm.Config{})
			for i, l := range logs {
				if i == flushed {
					if err := before.engine.Flush(); err != nil {
						t.Fatal(err)
					}
				}
				before.Apply(l)
			}
			after := openNode(t, fs.CrashClone(vfs.CrashCloneCfg{}), fsm.Config{})
			kept := int(after.Applied())
			if flushed < len(logs) && kept != flushed {
				t.Fatalf("the copy covers %d entries after a flush at %d", kept, flushed)
			}
			var got []any
			for rest := logs; len(rest) > 0; rest = rest[min(7, len(rest)):] {
				got = append(got, after.ApplyBatch(rest[:min(7, len(rest))])...)
			}
			for i := range got {
				if want := answers[i]; i < kept && got[i] != nil || i >= kept && !reflect.DeepEqual(got[i], want) {
					t.Fatalf("entry %d of %d, %d kept: answered %+v, first %+v", i+1, len(logs), kept, got[i], want)
				}
			}
			if got, want := after.checksum(), whole.checksum(); got != want {
				t.Fatalf("%+v, want %+v", got, want)
			}
			if got, want := after.view(), whole.view(); !slices.Equal(got, want) {
				t.Fatalf("views differ:\n%v\n%v", got, want)
			}
		})
	}
}

func TestReplayedEntriesAreNotAppliedTwice(t *testing.T) {
	var commits int
	n := openNode(t, vfs.NewMem(), fsm.Config{Committed: func(uint64, uint64) { commits++ }})
	n.must(create("a", "x"))
	l := entry(2, epoch, add("a", "y"))
	first := n.ApplyBatch([]*raft.Log{l})
	again := n.ApplyBatch([]*raft.Log{entry(1, epoch, create("a", "x")), l})
	if first[0] == nil || again[0] != nil || again[1] != nil || commits != 2 {
		t.Fatalf("first %v, again %v, %d commits", first, again, commits)
	}
	mixed := n.ApplyBatch([]*raft.Log{l, entry(3, epoch, add("a", "z"))})
	if mixed[0] != nil || mixed[1] == nil {
		t.Fatalf("mixed: %v", mixed)
	}
	if _, all := n.readAll("a", 100); all != "xyz" {
		t.Fatalf("%q", all)
	}
}

// Data and producer state are one: whatever a power cut leaves, a producer that
// repeats its last request gets each append exactly once.
func TestProducerStateIsAtomicWithItsData(t *testing.T) {
	fs := vfs.NewCrashableMem()
	n := openNode(t, fs, fsm.Config{})
	n.must(create("a", ""))
	for seq := range uint64(10) {
		c := add("a", fmt.Sprint(seq))
		c.Producer = &stream.Producer{ID: "p", Seq: seq}
		n.must(c)
		if seq%4 == 1 {
			if err := n.engine.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		after := openNode(t, fs.CrashClone(vfs.CrashCloneCfg{}), fsm.Config{})
		have := ""
		if info, ok, _ := after.Info("a"); !ok {
			continue // nothing was flushed yet: raft replays it all
		} else if info.Tail.Pos > 0 {
			_, have = after.readAll("a", 100)
		}
		for s := range seq + 1 {
			c := add("a", fmt.Sprint(s))
			c.Producer = &stream.Producer{ID: "p", Seq: s}
			if out := after.must(c); out.Duplicate != (s < uint64(len(have))) {
				t.Fatalf("%q was kept, and sequence %d is answered %+v", have, s, out)
			}
		}
		if _, all := after.readAll("a", 100); all != "0123456789"[:seq+1] {
			t.Fatalf("%q after %q was kept", all, have)
		}
	}
}

func TestEntriesThatCannotBeDecodedStopTheNode(t *testing.T) {
	newer := entry(2, epoch, stream.Touch{Name: "a"})
	newer.Data[0] = stream.Level + 1
	unknown := entry(2, epoch, stream.Touch{Name: "a"})
	unknown.Data[len(unknown.Data)-3] = 99
	cut := entry(2, epoch, create("b", "b"), add("a", "data"))
	cut.Data = cut.Data[:len(cut.Data)-1]
	for name, tt := range map[string]struct {
		l    *raft.Log
		says string
	}{
		"newer version":   {newer, "upgrade this node"},
		"unknown command": {unknown, "upgrade this node"},
		"cut":             {cut, "truncated"},
		"empty":           {&raft.Log{Index: 2, Term: 1}, "truncated"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.must(create("a", "x"))
			before := n.checksum()
			defer func() {
				r := fmt.Sprint(recover())
				if !strings.Contains(r, tt.says) || !strings.Contains(r, "entry 2") {
					t.Fatalf("it panics with %q; want the entry, and %q", r, tt.says)
				}
				if n.checksum() != before || n.engine.Globals().Applied != 1 {
					t.Fatal("the copy was changed before the panic")
				}
			}()
			n.Apply(tt.l)
			t.Fatal("it goes on")
		})
	}
}

func TestSmallAppendsAllocateLittle(t *testing.T) {
	const most = 40 // objects for one entry with one append: decoding, deciding, record, state, answer
	n := newNode(t)
	n.must(create("a", ""))
	data := entry(0, epoch, add("a", "hello")).Data
	logs := []*raft.Log{nil}
	got := testing.AllocsPerRun(500, func() {
		n.index++
		logs[0] = &raft.Log{Index: n.index, Term: 1, Type: raft.LogCommand, Data: data}
		n.ApplyBatch(logs)
	})
	t.Logf("%.0f allocations for one small append", got)
	if got > most {
		t.Fatalf("%.0f allocations for one small append, limit %d", got, most)
	}
}
