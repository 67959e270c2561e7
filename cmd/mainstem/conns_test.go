package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestOneConnectionTooManyIsToldSo, and there is room again when another ends,
// also one that was taken from net/http.
func TestOneConnectionTooManyIsToldSo(t *testing.T) {
	const most = 4
	_, base := dev(t, "--max-connections", fmt.Sprint(most))
	put(t, base+"/s", "[0]")
	http.DefaultClient.CloseIdleConnections()
	addr, path, _ := strings.Cut(strings.TrimPrefix(base, "http://"), "/")
	dial := func() (net.Conn, *http.Response) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(readyWithin)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /%s/s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]", path)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c, res
	}
	tail := follow(t, addr, "/"+path+"/s")
	held := []net.Conn{tail}
	eventually(t, "idle connections to end", func() bool { // those of put
		c, res := dial()
		if res.StatusCode != 204 {
			return false
		}
		held = append(held, c)
		return len(held) == most
	})
	_, res := dial()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" || !strings.Contains(string(body), "TOO_MANY_CONNECTIONS") {
		t.Fatalf("got %s %v: %s, %v", res.Status, res.Header, body, err)
	}
	for _, c := range held[:2] {
		c.Close()
		eventually(t, "room for another", func() bool {
			_, res := dial()
			return res.StatusCode == 204
		})
	}
}

func TestConnectionsLeaveDescriptorsForTheNode(t *testing.T) {
	for name, c := range map[string]struct {
		configured int
		files      uint64
		want       int64
	}{
		"as configured": {10, 1024, 10},
		"a low limit":   {0, 1024, 512},
		"a high limit":  {0, 1 << 20, 1<<20 - 6<<10},
		"not known":     {0, 0, 100_000},
	} {
		if got := connsMax(c.configured, c.files); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
