package storage

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/stream"
)

// putRecord adds a record of so many bytes.
func putRecord(b *Batch, incarnation, pos uint64, size int) {
	a := []stream.StoredAppend{{Data: make([]byte, size)}}
	b.PutRecord(incarnation, pos, stream.AppendRecordHeader(nil, a), a[0].Data)
}

func putState(b *Batch, name stream.Name, s stream.State) {
	b.PutStream(name, stream.AppendState(nil, &s))
}

// tailsOf asks for the tail of a stream in every way that there is.
func tailsOf(t *testing.T, e *Engine, name stream.Name) (tails [3]uint64) {
	t.Helper()
	s, err := e.Stream(name)
	if err != nil || s == nil {
		t.Fatalf("stream %s: %v, %v", name, s, err)
	}
	tails[0] = s.Pos
	err = e.EachStream(string(name), "", func(_ stream.Name, s *stream.State) bool {
		tails[1] = s.Pos
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range export(t, e, nothing).pairs {
		if n, ok := ParseStreamKey([]byte(pair[0])); ok && n == string(name) {
			s, err := stream.DecodeState([]byte(pair[1]))
			if err != nil {
				t.Fatal(err)
			}
			tails[2] = s.Pos
		}
	}
	return tails
}

func TestTheTailIsWhereTheLastRecordEnds(t *testing.T) {
	const top = 1<<64 - 1
	e := openTest(t, vfs.NewMem())
	commit(t, e, 1, func(b *Batch) {
		putRecord(b, 4, 0, 1000) // of others, before and after
		putRecord(b, 6, 0, 1000)
		putState(b, "grown", stream.State{Incarnation: 5, Pos: 10})
		putRecord(b, 5, 0, 10)
		putRecord(b, 5, 10, 20)
		putState(b, "exact", stream.State{Incarnation: 7, Pos: 12})
		putRecord(b, 7, 0, 12)
		putState(b, "fork without data of its own", stream.State{Incarnation: 8, Base: 40, Pos: 40})
		putState(b, "trimmed to its end", stream.State{Incarnation: 9, Horizon: 50, Freed: 50, Pos: 50})
		putState(b, "less is there", stream.State{Incarnation: 10, Pos: 60})
		putRecord(b, 10, 0, 20)
		putState(b, "the last", stream.State{Incarnation: top})
		putRecord(b, top, 0, 3)
	})
	want := map[stream.Name]uint64{"grown": 30, "exact": 12, "fork without data of its own": 40, "trimmed to its end": 50, "less is there": 60, "the last": 3}
	check := func(t *testing.T) {
		t.Helper()
		for name, want := range want {
			if got := tailsOf(t, e, name); got != [3]uint64{want, want, want} {
				t.Errorf("%s: got the tails %v, want %d", name, got, want)
			}
		}
	}
	t.Run("in memory", check)
	if err := e.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Run("in tables", check)
	commit(t, e, 2, func(b *Batch) { putRecord(b, 7, 12, 1); drop(t, b, top) })
	want["exact"], want["the last"] = 13, 0
	t.Run("in both", check)
	if s, err := e.Stream("grow"); s != nil || err != nil {
		t.Fatalf("a name that is part of another: got %v, %v", s, err)
	}
}

// What is exported is as of the view, tails too.
func TestAViewKeepsItsTails(t *testing.T) {
	e := openTest(t, vfs.NewMem())
	commit(t, e, 1, func(b *Batch) { putState(b, "a", stream.State{Incarnation: 5}); putRecord(b, 5, 0, 10) })
	v, err := e.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	commit(t, e, 2, func(b *Batch) { putRecord(b, 5, 10, 10) })
	var x exported
	if err := v.Export(t.Context(), nothing, &x); err != nil {
		t.Fatal(err)
	}
	for _, pair := range x.pairs {
		if _, ok := ParseStreamKey([]byte(pair[0])); !ok {
			continue
		}
		if s, err := stream.DecodeState([]byte(pair[1])); err != nil || s.Pos != 10 {
			t.Fatalf("got %+v, %v, want the tail at 10", s, err)
		}
	}
}

func TestALastRecordThatCannotBeReadIsDamage(t *testing.T) {
	e := openTest(t, vfs.NewMem())
	commit(t, e, 1, func(b *Batch) {
		putState(b, "a", stream.State{Incarnation: 5})
		b.PutRecord(5, 0, []byte("no record"))
	})
	if s, err := e.Stream("a"); !errors.Is(err, ErrCorrupt) || s != nil {
		t.Errorf("one: got %v, %v", s, err)
	}
	if err := e.EachStream("", "", func(stream.Name, *stream.State) bool { return true }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("all: got %v", err)
	}
	v, err := e.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := v.Export(t.Context(), nothing, &exported{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("export: got %v", err)
	}
}
