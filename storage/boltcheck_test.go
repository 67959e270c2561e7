package storage

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// A check that refuses a good file would cost a node: everything that bolt does
// to a file in the life of a log must pass.
func TestBoltCheckAcceptsWhatBoltWrites(t *testing.T) {
	cfg := LogConfig{Dir: filepath.Join(t.TempDir(), "log"), Kind: LogBoltDB}
	rng := rand.New(rand.NewPCG(3, 4))
	l := openTestLog(t, cfg)
	first, last := uint64(1), uint64(0)
	for round := range 60 {
		var entries []*raft.Log
		for range 1 + rng.IntN(200) {
			last++
			size := rng.IntN(300)
			if rng.IntN(50) == 0 {
				size = rng.IntN(100 << 10) // overflow pages
			}
			entries = append(entries, &raft.Log{Index: last, Data: noise(size)})
		}
		if err := l.StoreLogs(entries); err != nil {
			t.Fatal(err)
		}
		switch rng.IntN(3) {
		case 0:
			to := first + rng.Uint64N(last-first+1)
			if err := l.DeleteRange(first, to); err != nil {
				t.Fatal(err)
			}
			if first = to + 1; first > last {
				first, last = 1, 0 // empty: begin again
			}
		case 1:
			from := first + 1 + rng.Uint64N(last-first+1)
			if err := l.DeleteRange(from, last); err != nil {
				t.Fatal(err)
			}
			last = from - 1
		}
		if err := checkBolt(filepath.Join(cfg.Dir, boltLogFile)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if rng.IntN(4) == 0 {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = openTestLog(t, cfg)
		}
	}
}
