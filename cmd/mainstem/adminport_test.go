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
	} {
		if status, body := get(t, "http://"+addr+path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %.200q, want %q", path, status, body, want)
		}
	}
	for _, path := range []string{"/v1/stream/s", "/", "/debug", "/v1/cluster/checksum"} {
		if status, body := get(t, "http://"+addr+path); status != 404 {
			t.Errorf("%s: got %d %.200q, want 404", path, status, body)
		}
	}
	if status, _ := get(t, strings.TrimSuffix(base, "/v1/stream")+"/debug/pprof/"); status != 404 {
		t.Errorf("the clients' port serves profiles: %d", status)
	}
	p.signal()
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Fatal("the port is still open")
	}
}
