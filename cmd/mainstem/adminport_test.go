package main

import (
	"net"
	"strings"
	"testing"
)

// TestTheAdminPortShowsTheNodeAndNoStreams: profiles are there when asked for,
// on their own port only, and data is not.
func TestTheAdminPortShowsTheNodeAndNoStreams(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	p, base := dev(t, "--admin-addr", addr)
	for path, want := range map[string]string{
		"/debug/pprof/":               "goroutine",
		"/debug/pprof/cmdline":        "",
		"/debug/pprof/heap?debug=1":   "heap profile",
		"/debug/pprof/allocs?debug=1": "heap profile",
		"/metrics":                    "mainstem_build_info",
		"/livez":                      "ok",
		"/readyz":                     "ok",
		"/v1/cluster/status":          "leader",
		"/v1/cluster/members":         "dev",
		"/v1/cluster/checksum":        "\"sum\"",
		"/startupz":                   "ok",
		"/readyz?verbose":             "[+] disk",
	} {
		if status, body := get(t, "http://"+addr+path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %.200q, want %q", path, status, body, want)
		}
	}
	for _, path := range []string{"/v1/stream/s", "/", "/debug"} {
		if status, body := get(t, "http://"+addr+path); status != 404 {
			t.Errorf("%s: got %d %.200q, want 404", path, status, body)
		}
	}
	for path, want := range map[string]int{
		"/debug/pprof/": 404, "/metrics": 404, "/v1/cluster/status": 404, "/v1/cluster/checksum": 404,
		"/livez": 200, "/startupz": 200, "/readyz": 200, "/healthz": 200,
	} {
		if status, body := get(t, strings.TrimSuffix(base, "/v1/stream")+path); status != want {
			t.Errorf("%s on the clients' port: got %d %.200q, want %d", path, status, body, want)
		}
	}
	p.signal()
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Fatal("the port is still open")
	}
}
