package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealthTellsAliveFromReady(t *testing.T) {
	_, base := dev(t)
	node := strings.TrimSuffix(base, "/v1/stream")
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	unready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer unready.Close()
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"alive":          {[]string{"--url=" + node}, 0},
		"ready":          {[]string{"--url=" + node, "--ready"}, 0},
		"unready, alive": {[]string{"--url=" + unready.URL}, 0},
		"unready":        {[]string{"--url=" + unready.URL, "--ready"}, 1},
		"not there":      {[]string{"--url=http://" + gone.Addr().String()}, 1},
		"no address":     {[]string{"--url=http://[", "--ready"}, 1},
	} {
		if out, errOut, code := runWith(t, nil, append([]string{"health"}, c.args...)...); code != c.want {
			t.Errorf("%s: exit %d, %q, %q", name, code, out, errOut)
		}
	}
}
