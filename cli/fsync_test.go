package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

func TestFsyncTestNamesWhatItCannotUse(t *testing.T) {
	for args, want := range map[string]string{
		filepath.Join(t.TempDir(), "absent"): "absent",
		". --for 1ms":                        "a second to an hour",
		"":                                   "want fsync-test",
	} {
		_, errs, code := command(t, nil, append([]string{"fsync-test"}, strings.Fields(args)...)...)
		if code == 0 || !strings.Contains(errs, want) {
			t.Fatalf("%q: code %d, %q", args, code, errs)
		}
	}
}
