package fsm_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/fsm"
	"mainstem/storage"
	"mainstem/stream"
)

// A stream that nobody writes to or reads is on disk, and takes memory only while
// it is among those that were used last.
func TestAnIdleStreamHoldsLittleMemory(t *testing.T) {
	const streams, anEntry = 20_000, 500
	for name, test := range map[string]struct{ cached, most int }{
		"used lately":  {2 * streams, 1000},
		"not any more": {64, 100},
	} {
		t.Run(name, func(t *testing.T) {
			engine, err := storage.Open(storage.Config{Dir: t.TempDir(), FS: vfs.Default, CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close()
			m, err := fsm.New(engine, fsm.Config{CachedStreams: test.cached})
			if err != nil {
				t.Fatal(err)
			}
			held := func() int {
				if err := engine.Flush(); err != nil {
					t.Fatal(err)
				}
				runtime.GC()
				runtime.GC() // what pools held
				var s runtime.MemStats
				runtime.ReadMemStats(&s)
				return int(s.HeapAlloc + s.StackInuse)
			}
			index, n := uint64(0), 0
			create := func(entries int) {
				for range entries {
					var commands []stream.Command
					for range anEntry {
						n++
						commands = append(commands, stream.Create{Name: stream.Name(fmt.Sprintf("idle/%08d", n)), ContentType: "application/json"})
					}
					index++
					m.ApplyBatch([]*raft.Log{entry(index, epoch, commands...)})
				}
			}
			create(4) // what there is one of, and buffers of an entry
			before := held()
			create(streams / anEntry)
			each := (held() - before) / streams
			t.Logf("%d bytes for each", each)
			if each > test.most {
				t.Fatalf("an idle stream holds %d bytes, want at most %d", each, test.most)
			}
			runtime.KeepAlive(m)
		})
	}
}
