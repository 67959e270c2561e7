package storage

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func drop(t testing.TB, b *Batch, incarnation uint64) {
	t.Helper()
	if err := b.DropIncarnation(incarnation); err != nil {
		t.Fatal(err)
	}
}

// Whatever an incarnation holds, and whether it lies in tables, in memory or in
// the very batch that drops it, all of it goes and nothing else does.
func TestADropTakesAllOfAnIncarnation(t *testing.T) {
	sizes := []int{0, 1, 2, dropKeysMax - 1, dropKeysMax, dropKeysMax + 1, 3 * dropKeysMax}
	for _, flushed := range sizes {
		for _, committed := range sizes {
			for _, batched := range sizes {
				e := openTest(t, vfs.NewMem())
				n := 0
				put := func(b *Batch, count int) {
					for range count {
						n++
						for incarnation := uint64(1); incarnation <= 3; incarnation++ {
							b.PutRecord(incarnation, uint64(n), []byte("x"))
							b.PutProducer(incarnation, fmt.Sprint(n), []byte("y"))
						}
					}
				}
				commit(t, e, 1, func(b *Batch) { put(b, flushed) })
				if err := e.Flush(); err != nil {
					t.Fatal(err)
				}
				commit(t, e, 2, func(b *Batch) { put(b, committed) })
				commit(t, e, 3, func(b *Batch) {
					put(b, batched)
					drop(t, b, 2)
				})
				for incarnation, want := range map[uint64]int{1: n, 2: 0, 3: n} {
					records, producers := 0, 0
					if err := e.Records(incarnation, 0, func(uint64, []byte) bool { records++; return true }); err != nil {
						t.Fatal(err)
					}
					for i := 1; i <= n; i++ {
						_, ok, err := e.Producer(incarnation, fmt.Sprint(i))
						if err != nil {
							t.Fatal(err)
						}
						if ok {
							producers++
						}
					}
					if records != want || producers != want {
						t.Fatalf("%d flushed, %d committed, %d in the batch: incarnation %d has %d records and %d producers, want %d",
							flushed, committed, batched, incarnation, records, producers, want)
					}
				}
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A storm of small deletes must not slow down the readers of other streams, as
// range tombstones do: the first read after each change pays for all of them.
func TestOnlyLargeDropsWriteRangeTombstones(t *testing.T) {
	for name, tt := range map[string]struct{ records, producers, deletes, ranges int }{
		"empty":           {0, 0, 0, 0},
		"small":           {1, 0, 1, 0},
		"with a producer": {3, 1, 4, 0},
		"many records":    {dropKeysMax, 1, 1, 1},
		"many of both":    {dropKeysMax, dropKeysMax, 0, 2},
		"nearly many":     {dropKeysMax - 1, dropKeysMax - 1, 2*dropKeysMax - 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := openTest(t, vfs.NewMem())
			commit(t, e, 1, func(b *Batch) {
				for i := range tt.records {
					b.PutRecord(2, uint64(i), []byte("x"))
				}
				for i := range tt.producers {
					b.PutProducer(2, fmt.Sprint(i), []byte("y"))
				}
				b.PutRecord(3, 0, []byte("a neighbour"))
			})
			b := e.NewBatch()
			drop(t, b, 2)
			deletes, ranges := 0, 0
			for r := b.inner.Reader(); ; {
				kind, _, _, ok, err := r.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				switch kind {
				case pebble.InternalKeyKindDelete:
					deletes++
				case pebble.InternalKeyKindRangeDelete:
					ranges++
				}
			}
			if deletes != tt.deletes || ranges != tt.ranges {
				t.Fatalf("got %d deletes and %d range tombstones, want %d and %d", deletes, ranges, tt.deletes, tt.ranges)
			}
		})
	}
}

// What a trim puts into a batch does not grow with what it frees, and what is in
// the same batch is freed too.
func TestFreeRecordsIsSmallHoweverMuchItFrees(t *testing.T) {
	e := openTest(t, vfs.NewMem())
	b := e.NewBatch()
	for i := range uint64(2000) {
		b.PutRecord(7, i*10, []byte("record"))
		b.PutRecord(8, i*10, []byte("another"))
	}
	if err := e.Commit(b, Globals{Applied: 1}); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	b.PutRecord(7, 20_000, []byte("new"))
	b.PutRecord(7, 20_010, []byte("newer"))
	put := b.Bytes()
	if err := b.FreeRecords(7, 50, 20_010); err != nil {
		t.Fatal(err)
	}
	if grown := b.Bytes() - put; grown > 200 {
		t.Errorf("freeing 1996 records takes %d bytes of the batch", grown)
	}
	if err := e.Commit(b, Globals{Applied: 2}); err != nil {
		t.Fatal(err)
	}
	for incarnation, want := range map[uint64]int{7: 6, 8: 2000} {
		got := 0
		if err := e.Records(incarnation, 0, func(uint64, []byte) bool { got++; return true }); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("incarnation %d has %d records left, want %d", incarnation, got, want)
		}
	}
}
