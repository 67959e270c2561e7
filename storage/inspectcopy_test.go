package storage

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/stream"
)

// A copy whose blocks are sound may lack records all the same.
func TestRecordsThatAreMissingAtTheEndOfAStreamAreFound(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(b *Batch)
		stored uint64 // as the copy counts
		says   string // "" for nothing
	}{
		"sound":                        {func(*Batch) {}, 35, ""},
		"the last one":                 {func(b *Batch) { free(b, 5, 20, 30) }, 35, "hold 25 bytes and it counts 35"},
		"what the state is told of":    {func(b *Batch) { free(b, 5, 10, 30) }, 15, `the last records of stream "a", which ends at 20, are missing`},
		"all":                          {func(b *Batch) { free(b, 5, 0, 30) }, 5, `"a", which ends at 20`},
		"one too many":                 {func(b *Batch) { putRecord(b, 5, 30, 4) }, 35, "hold 39 bytes and it counts 35"},
		"of a fork, which has none":    {func(b *Batch) { putState(b, "b", stream.State{Incarnation: 6, Base: 9, Pos: 9}) }, 35, ""},
		"of a fork, which has lost it": {func(b *Batch) { putState(b, "b", stream.State{Incarnation: 6, Base: 9, Pos: 12}) }, 38, `"b", which ends at 12`},
		"trimmed to the tail": {func(b *Batch) {
			putState(b, "a", stream.State{Incarnation: 5, Pos: 30, Horizon: 30, Freed: 30})
			free(b, 5, 0, 30)
		}, 5, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cfg := testConfig(vfs.Default)
			cfg.Dir = dir
			e, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for n, change := range []func(*Batch){func(b *Batch) {
				putState(b, "a", stream.State{Incarnation: 5, Pos: 20})
				for pos := uint64(0); pos < 30; pos += 10 {
					putRecord(b, 5, pos, 10)
				}
				putState(b, "c", stream.State{Incarnation: 7, Pos: 5})
				putRecord(b, 7, 0, 5)
			}, tt.change} {
				b := e.NewBatch()
				change(b)
				if err := e.Commit(b, Globals{Applied: uint64(n + 1), Stored: tt.stored, Tails: true}); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(e.Flush(), e.Close()); err != nil {
				t.Fatal(err)
			}
			i := &inspector{cfg: InspectConfig{Progress: func(string, int64, int64) {}}}
			_, err = i.tables(PartCopy, filepath.Join(dir, copyName(1)))
			if tt.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), dir) {
				t.Fatalf("got %v, want %q", err, tt.says)
			}
		})
	}
}

func free(b *Batch, incarnation, from, to uint64) {
	if err := b.FreeRecords(incarnation, from, to); err != nil {
		panic(err)
	}
}
