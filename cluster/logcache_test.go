package cluster

import (
	"testing"

	"github.com/hashicorp/raft"
)

func TestLogCacheIsBoundedByBytes(t *testing.T) {
	const max = 10_000
	store := raft.NewInmemStore()
	c := newLogCache(store, max)
	tests := map[string]struct {
		size, entries, wantLeast, wantMost int
	}{
		"many small":      {size: 100, entries: 500, wantLeast: 40, wantMost: 44},
		"few large":       {size: 3000, entries: 50, wantLeast: 3, wantMost: 3},
		"larger than all": {size: 20_000, entries: 3, wantLeast: 0, wantMost: 0},
	}
	index := uint64(0)
	for name, test := range tests {
		for range test.entries {
			index++
			entry := &raft.Log{Index: index, Data: make([]byte, test.size)}
			if err := c.StoreLog(entry); err != nil {
				t.Fatal(err)
			}
			if c.bytes > max {
				t.Fatalf("%s: the cache holds %d bytes, limit %d", name, c.bytes, max)
			}
		}
		if n := len(c.entries); n < test.wantLeast || n > test.wantMost {
			t.Errorf("%s: the cache holds %d entries, want %d to %d", name, n, test.wantLeast, test.wantMost)
		}
		var got raft.Log
		if err := c.GetLog(index, &got); err != nil || got.Index != index || len(got.Data) != test.size {
			t.Errorf("%s: entry %d: got %d with %d bytes, %v", name, index, got.Index, len(got.Data), err)
		}
	}
}

// What was overwritten or deleted must not come back from memory: a follower
// would be sent entries of a lost term.
func TestLogCacheForgetsWhatTheLogForgets(t *testing.T) {
	store := raft.NewInmemStore()
	c := newLogCache(store, 1<<20)
	put := func(term uint64, from, to uint64) {
		t.Helper()
		for i := from; i <= to; i++ {
			if err := c.StoreLog(&raft.Log{Index: i, Term: term, Data: []byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(1, 1, 10)
	if err := c.DeleteRange(6, 10); err != nil {
		t.Fatal(err)
	}
	var got raft.Log
	if err := c.GetLog(8, &got); err != raft.ErrLogNotFound {
		t.Fatalf("a deleted entry: got %v, %v", got, err)
	}
	put(2, 6, 8)
	for index, term := range map[uint64]uint64{3: 1, 6: 2, 8: 2} {
		if err := c.GetLog(index, &got); err != nil || got.Index != index || got.Term != term {
			t.Errorf("entry %d: got index %d of term %d, %v; want term %d", index, got.Index, got.Term, err, term)
		}
	}
	put(3, 7, 7) // overwritten in place
	if err := c.GetLog(7, &got); err != nil || got.Term != 3 {
		t.Errorf("an entry that was overwritten: got term %d, %v; want 3", got.Term, err)
	}
	put(4, 20, 21) // after a gap, as a snapshot leaves one
	if c.find(15) != nil || c.find(21) == nil || c.find(7) != nil {
		t.Error("entries on both sides of a gap are taken for one run")
	}
}
