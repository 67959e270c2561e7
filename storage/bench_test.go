package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/stream"
)

func BenchmarkStoreLogs(b *testing.B) {
	for _, kind := range []string{LogWAL, LogBoltDB} {
		for _, size := range []int{256, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) {
				l, err := OpenLog(LogConfig{Dir: filepath.Join(b.TempDir(), "log"), Kind: kind})
				if err != nil {
					b.Fatal(err)
				}
				defer l.Close()
				entry := raft.Log{Data: make([]byte, size)}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					entry.Index++
					if err := l.StoreLog(&entry); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkCommit(b *testing.B) {
	e := openTest(b, vfs.NewMem())
	batch := e.NewBatch()
	value := make([]byte, 256)
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		for range 256 {
			n++
			batch.PutRecord(n%1000, n*256, value, value[:8])
		}
		if err := e.Commit(batch, Globals{Applied: n, Now: stream.Time(n)}); err != nil {
			b.Fatal(err)
		}
		batch.Reset()
	}
}

func BenchmarkRecords(b *testing.B) {
	e := openTest(b, vfs.NewMem())
	history(b, e, 1, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Records(1, 500, func(uint64, []byte) bool { return false }); err != nil {
			b.Fatal(err)
		}
	}
}

// What a scrub costs: bytes per second of a whole core.
func BenchmarkScrub(b *testing.B) {
	e := openTest(b, vfs.NewMem())
	random, body := rand.NewChaCha8([32]byte{1}), make([]byte, 4096)
	for i := range uint64(64) {
		commit(b, e, i+1, func(batch *Batch) {
			for j := range uint64(64) {
				random.Read(body)
				batch.PutRecord(i, j<<12, body)
			}
		})
	}
	if err := e.Flush(); err != nil {
		b.Fatal(err)
	}
	for name, read := range map[string]func(Pace) error{
		"files": func(pace Pace) error { return e.Verify(b.Context(), pace) },
		"view": func(pace Pace) error {
			v, err := e.View()
			if err != nil {
				return err
			}
			_, err = v.Sum(b.Context(), "", 1<<40, pace)
			return errors.Join(err, v.Close())
		},
	} {
		b.Run(name, func(b *testing.B) {
			total := 0
			for b.Loop() {
				if err := read(func(_ context.Context, n int) error { total += n; return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(total / b.N))
		})
	}
}

// A stream that is not in memory, as a HEAD asks for it.
func BenchmarkColdStream(b *testing.B) {
	const streams, records = 20_000, 4
	for name, missing := range map[string]bool{"there": false, "absent": true} {
		b.Run(name, func(b *testing.B) {
			cfg := testConfig(vfs.NewMem())
			cfg.CacheBytes = 64 << 20 // holds all blocks
			e, err := Open(cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			for r := range uint64(records) {
				commit(b, e, r+1, func(batch *Batch) {
					for i := range uint64(streams) {
						if r == 0 {
							putState(batch, stream.Name(fmt.Sprintf("bench/stream-%05d", i)), stream.State{Incarnation: i, Pos: 256, ContentType: "application/json"})
						}
						putRecord(batch, i, r*256, 256)
					}
				})
			}
			if err := e.Flush(); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				name := stream.Name(fmt.Sprintf("bench/stream-%05d", n*7919%streams))
				if missing {
					name += "?"
				}
				if s, err := e.Stream(name); err != nil || (s == nil) != missing {
					b.Fatal(s, err)
				}
			}
		})
	}
}
