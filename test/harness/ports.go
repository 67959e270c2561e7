package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports are taken below the range from which the kernel serves outgoing
// connections, so that none is taken between the look and the node's start, and
// a node that was killed finds its own again.
const (
	portFirst = 20000
	portLast  = 32000
	portTries = 200
)

var taken = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// FreeAddr returns a loopback address on which nobody listens, over TCP nor
// UDP, and which no other call of this process has returned.
func FreeAddr(t testing.TB) string {
	t.Helper()
	taken.Lock()
	defer taken.Unlock()
	for range portTries {
		port := portFirst + rand.IntN(portLast-portFirst)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if taken.ports[port] || !free(addr) {
			continue
		}
		taken.ports[port] = true
		return addr
	}
	t.Fatalf("no free port between %d and %d in %d tries", portFirst, portLast, portTries)
	return ""
}

func free(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer l.Close() // nothing was accepted
	p, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	p.Close() // nothing was read
	return true
}
