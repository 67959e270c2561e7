package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mainstem/cluster"
	"mainstem/httpapi"
)

// faultTime is how long, in virtual time, a cluster is broken and mended.
const faultTime = 45 * time.Second

// scenario runs a load on a cluster while it is broken by a seed.
func scenario(t *testing.T, seed uint64, broken time.Duration, change func(*Options)) (h *History, faults map[string]int) {
	t.Helper()
	inBubble(t, func(t *testing.T, dir string) {
		opts := Options{
			Dir: dir, Seed: seed, Delay: 3 * time.Millisecond,
			Cluster: func(cfg *cluster.Config) {
				cfg.SubmitTimeout = 5 * time.Second
				cfg.SnapshotThreshold, cfg.SnapshotInterval, cfg.TrailingLogs = 100, 3*time.Second, 50
			},
			HTTP: func(cfg *httpapi.Config) {
				cfg.LongPollTimeout, cfg.SSEReconnectInterval, cfg.SSEKeepAlive = 3*time.Second, 10*time.Second, 2*time.Second
			},
		}
		if change != nil {
			change(&opts)
		}
		c := New(t, opts)
		h = NewHistory()
		l := &Load{Cluster: c, History: h, Seed: seed}
		l.Run(func() {
			faults = NewFaults(c, seed).Run(broken)
			c.WaitReady()
			time.Sleep(3 * time.Second)
		})
		faults["snapshots restored"] = int(c.restored.Load())
		if err := c.Equal(); err != nil {
			h.Complain("%v", err)
		}
	})
	return h, faults
}

// report fails the test with what is wrong, and keeps the history.
func report(t *testing.T, seed uint64, h *History, v *Verdict) {
	t.Helper()
	t.Logf("seed %d: %v", seed, v.Counts)
	if len(v.Wrong) == 0 {
		return
	}
	path := filepath.Join(os.TempDir(), fmt.Sprintf("mainstem-sim-%d.jsonl", seed))
	if err := h.Save(path); err != nil {
		t.Error(err)
	}
	const most = 12
	for _, wrong := range v.Wrong[:min(most, len(v.Wrong))] {
		t.Error(wrong)
	}
	t.Fatalf("%d things are wrong under seed %d; the history is in %s", len(v.Wrong), seed, path)
}

func TestPromisesHoldUnderRandomFaults(t *testing.T) {
	seeds := []uint64{1, 2, 3, rand.Uint64N(1 << 32)}
	if testing.Short() {
		seeds = seeds[3:]
	}
	if s := os.Getenv("MAINSTEM_SIM_SEED"); s != "" {
		var seed uint64
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatalf("MAINSTEM_SIM_SEED: %v", err)
		}
		seeds = []uint64{seed}
	}
	for i, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", i), func(t *testing.T) {
			t.Logf("seed %d: repeat it with MAINSTEM_SIM_SEED=%d", seed, seed)
			h, faults := scenario(t, seed, faultTime, nil)
			begin := time.Now()
			v := Judge(h)
			var list []string
			for _, name := range slices.Sorted(maps.Keys(faults)) {
				list = append(list, fmt.Sprintf("%s %d", name, faults[name]))
			}
			t.Logf("faults: %s; judged in %v", strings.Join(list, ", "), time.Since(begin).Round(time.Millisecond))
			report(t, seed, h, v)
		})
	}
}
