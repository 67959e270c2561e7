package main

import (
	"bytes"
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
		var out, errs bytes.Buffer
		code := run(t.Context(), invocation{args: append([]string{"fsync-test"}, strings.Fields(args)...), stdout: &out, stderr: &errs})
		if code == 0 || !strings.Contains(errs.String(), want) {
			t.Fatalf("%q: code %d, %q", args, code, errs.String())
		}
	}
}
