package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestAnIdleTailCostsLittle: a follower that waits has no goroutine and no buffers.
// net/http would take some 24 KB and two goroutines. What is counted has the
// client's end of the connection in it.
func TestAnIdleTailCostsLittle(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SSE connections stay with net/http here")
	}
	const tails, bytesMost, goroutinesMost = 1000, 6 << 10, 50
	_, base := dev(t)
	put(t, base+"/idle", "[0]")
	held := func() (bytes, goroutines int) {
		runtime.GC()
		runtime.GC() // what pools held
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc + m.StackInuse), runtime.NumGoroutine()
	}
	beforeBytes, before := held()
	addr, path, _ := strings.Cut(strings.TrimPrefix(base, "http://"), "/")
	var conns []net.Conn
	for range tails {
		conns = append(conns, follow(t, addr, "/"+path+"/idle"))
	}
	eventually(t, "connections to be taken over", func() bool { return runtime.NumGoroutine() < before+goroutinesMost })
	after, _ := held()
	if each := (after - beforeBytes) / tails; each > bytesMost {
		t.Errorf("an idle tail holds %d bytes, want at most %d", each, bytesMost)
	}
	put(t, base+"/idle", "[1]")
	for _, c := range conns { // they are not only cheap, they are alive
		in := bufio.NewReader(c)
		for line := ""; line != "data:[1]\n"; {
			var err error
			if line, err = in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// follow opens an event stream and reads nothing of it but what tells that it is up
// to date.
func follow(t *testing.T, addr, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(readyWithin)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET %s?offset=-1&live=sse HTTP/1.1\r\nHost: x\r\n\r\n", path)
	var head [4096]byte
	for n := 0; !strings.Contains(string(head[:n]), "upToDate"); {
		k, err := c.Read(head[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	return c
}

// put creates a stream, or appends to it when it is there.
func put(t *testing.T, url, body string) {
	t.Helper()
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		r, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == http.StatusCreated || res.StatusCode == http.StatusNoContent {
			return
		}
	}
	t.Fatal("neither created nor appended")
}
