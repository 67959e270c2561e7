package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// A file and an environment of the Rust server work here, and what it calls old
// itself, or what has no meaning here, is told.
func TestOlderNamesOfTheRustServerWorkAndAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		variable, want string
		got            func(loaded) string
	}{
		"port":      {"DS_SERVER__PORT=8080", "0.0.0.0:8080", func(l loaded) string { return l.server.addr }},
		"long-poll": {"DS_SERVER__LONG_POLL_TIMEOUT_SECS=5", "5s", func(l loaded) string { return l.http.longPollTimeout.String() }},
		"reconnect": {"DS_SERVER__SSE_RECONNECT_INTERVAL_SECS=120", "2m0s", func(l loaded) string { return l.http.sseReconnectInterval.String() }},
		"level":     {"DS_LOG__RUST_LOG=warn", "warn", func(l loaded) string { return l.log.level }},
		"cert":      {"DS_TLS__CERT_PATH=/c", "/c", func(l loaded) string { return l.tls.certPath }},
		"key":       {"DS_TLS__KEY_PATH=/k", "/k", func(l loaded) string { return l.tls.keyPath }},
		"shards":    {"DS_STORAGE__ACID_SHARD_COUNT=32", modeFileDurable, func(l loaded) string { return l.storage.mode }},
		"backend":   {"DS_STORAGE__ACID_BACKEND=file", modeFileDurable, func(l loaded) string { return l.storage.mode }},
	} {
		t.Run(name, func(t *testing.T) {
			inDirWith(t, nil)
			environ := []string{c.variable}
			if strings.HasPrefix(c.variable, "DS_TLS__") {
				environ = []string{"DS_TLS__CERT_PATH=/c", "DS_TLS__KEY_PATH=/k", "DS_TRANSPORT__MODE=tls"}
			}
			l, err := loadAll(t, nil, environ)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.got(l); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			name, _, _ := strings.Cut(c.variable, "=")
			if !slices.ContainsFunc(l.notes, func(note string) bool { return strings.HasPrefix(note, name+": ") }) {
				t.Errorf("%s is not among the notes: %q", name, l.notes)
			}
		})
	}
	inDirWith(t, map[string]string{"own.toml": "[server]\nport = 8080\n"})
	l, err := loadAll(t, []string{"--config=own.toml"}, nil)
	if err != nil || l.server.addr != "0.0.0.0:8080" || len(l.notes) != 1 || !strings.HasPrefix(l.notes[0], "own.toml: server.port is an older name") {
		t.Fatalf("got %s, %q, %v", l.server.addr, l.notes, err)
	}
	if l, err := loadAll(t, nil, []string{"DS_SERVER__BIND_ADDRESS=:1", "DS_OBSERVABILITY__RUST_LOG=warn"}); err != nil || len(l.notes) > 0 {
		t.Errorf("present names are told: %q, %v", l.notes, err)
	}
	_, err = loadAll(t, nil, []string{"DS_SERVER__PORT=1", "DS_SERVER__BIND_ADDRESS=:1"})
	mustName(t, err, "[load_config] server.port: both DS_SERVER__BIND_ADDRESS and DS_SERVER__PORT are set; keep one")
	_, errOut, code := runWith(t, []string{"DS_SERVER__PORT=9"}, "config", "check", "--data-dir=d", "--node-id=n")
	if code != 0 || !strings.Contains(errOut, "note: DS_SERVER__PORT") {
		t.Errorf("config check: exit %d, %q", code, errOut)
	}
}

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
	for mode, told := range map[string]bool{modeFileDurable: false, modeACID: false, modeFileFast: true} {
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
