package main

import (
	"os"
	"strings"
	"testing"

	"mainstem/settings"
)

func TestMemoryModeServesAndKeepsNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Chdir(t.TempDir())
	for range 2 { // the second knows nothing of the first
		p := launch(t, "serve", "--storage-mode=memory", "--data-dir=kept", "--node-id=n", "--addr=127.0.0.1:0", "--raft-snapshot-threshold=16", "--raft-snapshot-interval=50ms")
		base := ""
		eventually(t, "ready", func() bool {
			_, rest, ok := strings.Cut(p.stderr.String(), `msg=ready node=n clients=`)
			base = "http://" + strings.Fields(rest + " x")[0] + "/v1/stream"
			return ok
		})
		mustDo(t, "PUT", base+"/s", "text/plain", "", 201)
		for range 100 { // more than a snapshot's worth
			mustDo(t, "POST", base+"/s", "text/plain", "x", 204)
		}
		if status, body := get(t, base+"/s?offset=-1"); status != 200 || body != strings.Repeat("x", 100) {
			t.Fatalf("got %d, %q", status, body)
		}
		if !strings.Contains(p.stderr.String(), "storage.mode is memory") {
			t.Errorf("nobody was told")
		}
		p.signal()
		if code := p.exit(); code != 0 {
			t.Fatalf("exit %d", code)
		}
	}
	for _, dir := range []string{".", os.TempDir()} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s holds %v, %v", dir, left, err)
		}
	}
}

func TestTheFileModesAreOneAndFileFastIsTold(t *testing.T) {
	for mode, told := range map[string]bool{settings.ModeFileDurable: false, settings.ModeACID: false, settings.ModeFileFast: true} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			p, base := dev(t, "--storage-mode", mode, "--data-dir", dir, "--log-level", "info")
			before := sampleOf(t, strings.TrimSuffix(base, "/v1/stream")+"/metrics", `mainstem_fsync_seconds_count{store="log"}`)
			mustDo(t, "PUT", base+"/s", "text/plain", "x", 201)
			if after := sampleOf(t, strings.TrimSuffix(base, "/v1/stream")+"/metrics", `mainstem_fsync_seconds_count{store="log"}`); after <= before {
				t.Errorf("%v fsyncs before, %v after", before, after)
			}
			if got := strings.Contains(p.stderr.String(), "file-fast is not weaker"); got != told {
				t.Errorf("told: %v, want %v", got, told)
			}
		})
	}
}
