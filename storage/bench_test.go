package storage

import (
	"fmt"
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
