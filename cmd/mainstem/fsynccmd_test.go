package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestFsyncTestMeasuresAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	took, err := measureFsync(t.Context(), dir, 50*time.Millisecond)
	if err != nil || took.TotalCount() == 0 {
		t.Fatalf("got %v, %v", took, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Fatalf("it left %v, %v", left, err)
	}
	if text := latencies(took); !strings.Contains(text, "99.9 %") {
		t.Fatalf("got %q", text)
	}
}

func TestFsyncTestJudges(t *testing.T) {
	for name, c := range map[string]struct {
		most, rest time.Duration
		want       string
		ok         bool
	}{
		"an SSD":                       {time.Millisecond, time.Millisecond, "good", true},
		"one slow write in a thousand": {time.Millisecond, time.Second, "good", true},
		"a busy volume":                {30 * time.Millisecond, time.Second, "slow", true},
		"a network disk":               {300 * time.Millisecond, time.Second, "too slow", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := hdrhistogram.New(1, fsyncWorst.Microseconds(), 3)
			for i := range 1000 {
				d := c.most
				if i == 0 {
					d = c.rest
				}
				if err := h.RecordValue(d.Microseconds()); err != nil {
					t.Fatal(err)
				}
			}
			if got, ok := judgeFsync(h); !strings.HasPrefix(got, c.want+":") || ok != c.ok {
				t.Fatalf("got %q, %v", got, ok)
			}
		})
	}
}

func TestFsyncTestNamesWhatItCannotUse(t *testing.T) {
	for args, want := range map[string]string{
		filepath.Join(t.TempDir(), "absent"): "absent",
		". --for 1ms":                        "a second to an hour",
		"":                                   "want fsync-test",
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), invocation{args: append([]string{"fsync-test"}, strings.Fields(args)...), stdout: &out, stderr: &errs})
		if code == 0 || !strings.Contains(errs.String(), want) {
			t.Fatalf("%q: code %d, %q", args, code, errs.String())
		}
	}
}
