package main

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

func TestASmallHeapGrowsToTheFloor(t *testing.T) {
	const mb = 1 << 20
	for name, tt := range map[string]struct {
		live, floor uint64
		want        int
	}{
		"empty":                   {0, 64 * mb, 1100},
		"next to nothing":         {mb, 64 * mb, 1100},
		"an idle node":            {4 * mb, 48 * mb, 1100},
		"a quarter":               {16 * mb, 64 * mb, 300},
		"half":                    {32 * mb, 64 * mb, 100},
		"more than half":          {40 * mb, 64 * mb, 100},
		"the floor":               {64 * mb, 64 * mb, 100},
		"far above":               {4096 * mb, 64 * mb, 100},
		"little memory, idle":     {4 * mb, 16 * mb, 300},
		"little memory, half way": {12 * mb, 16 * mb, 100},
	} {
		if got := percentFor(tt.live, tt.floor); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
}

// TestGarbageOfASmallHeapIsLeftForLater counts collections, and sees that all is as
// before in the end. It has a process to itself: what other tests leave alive decides
// how many there are.
func TestGarbageOfASmallHeapIsLeftForLater(t *testing.T) {
	const alone = "MAINSTEM_TEST_ALONE"
	if os.Getenv(alone) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
		cmd.Env = append(os.Environ(), alone+"=1", "GOGC=", "GOMEMLIMIT=")
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("when relaxed")) {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	const garbage = 256 << 20
	collections := func() uint32 {
		var before, after runtime.MemStats
		runtime.GC()
		time.Sleep(50 * time.Millisecond) // for the cleanup that adjusts; without it the runtime's own pace holds a little longer
		runtime.ReadMemStats(&before)
		for range garbage / 4096 {
			kept = make([]byte, 4096)
		}
		runtime.ReadMemStats(&after)
		return after.NumGC - before.NumGC
	}
	usual := collections()
	stop := relaxCollector()
	relaxed := collections()
	stop()
	t.Logf("%d collections, %d when relaxed", usual, relaxed)
	if most := uint32(garbage/heapFloor + 4); relaxed > most {
		t.Errorf("%d collections for %d MB of garbage, at most %d are due", relaxed, garbage>>20, most)
	}
	if again := collections(); again < relaxed*2 {
		t.Errorf("%d collections after stop, %d before it", again, relaxed)
	}
}

var kept []byte // so that the compiler does not see through
