package settings

import (
	"slices"
	"strings"
	"testing"

	"mainstem/test/harness"
)

// A file and an environment of the Rust server work here, and what it calls old
// itself, or what has no meaning here, is told.
func TestOlderNamesOfTheRustServerWorkAndAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		variable, want string
		got            func(Loaded) string
	}{
		"port":      {"DS_SERVER__PORT=8080", "0.0.0.0:8080", func(l Loaded) string { return l.Server.Addr }},
		"long-poll": {"DS_SERVER__LONG_POLL_TIMEOUT_SECS=5", "5s", func(l Loaded) string { return l.HTTP.LongPollTimeout.String() }},
		"reconnect": {"DS_SERVER__SSE_RECONNECT_INTERVAL_SECS=120", "2m0s", func(l Loaded) string { return l.HTTP.SSEReconnectInterval.String() }},
		"level":     {"DS_LOG__RUST_LOG=warn", "warn", func(l Loaded) string { return l.Log.Level }},
		"cert":      {"DS_TLS__CERT_PATH=/c", "/c", func(l Loaded) string { return l.TLS.CertPath }},
		"key":       {"DS_TLS__KEY_PATH=/k", "/k", func(l Loaded) string { return l.TLS.KeyPath }},
		"shards":    {"DS_STORAGE__ACID_SHARD_COUNT=32", ModeFileDurable, func(l Loaded) string { return l.Storage.Mode }},
		"backend":   {"DS_STORAGE__ACID_BACKEND=file", ModeFileDurable, func(l Loaded) string { return l.Storage.Mode }},
	} {
		t.Run(name, func(t *testing.T) {
			harness.InDirWith(t, nil)
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
			if !slices.ContainsFunc(l.Notes, func(note string) bool { return strings.HasPrefix(note, name+": ") }) {
				t.Errorf("%s is not among the notes: %q", name, l.Notes)
			}
		})
	}
	harness.InDirWith(t, map[string]string{"own.toml": "[server]\nport = 8080\n"})
	l, err := loadAll(t, []string{"--config=own.toml"}, nil)
	if err != nil || l.Server.Addr != "0.0.0.0:8080" || len(l.Notes) != 1 || !strings.HasPrefix(l.Notes[0], "own.toml: server.port is an older name") {
		t.Fatalf("got %s, %q, %v", l.Server.Addr, l.Notes, err)
	}
	if l, err := loadAll(t, nil, []string{"DS_SERVER__BIND_ADDRESS=:1", "DS_OBSERVABILITY__RUST_LOG=warn"}); err != nil || len(l.Notes) > 0 {
		t.Errorf("present names are told: %q, %v", l.Notes, err)
	}
	_, err = loadAll(t, nil, []string{"DS_SERVER__PORT=1", "DS_SERVER__BIND_ADDRESS=:1"})
	mustName(t, err, "[load_config] server.port: both DS_SERVER__BIND_ADDRESS and DS_SERVER__PORT are set; keep one")
}
