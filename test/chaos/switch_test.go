package chaos

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mainstem/test/harness"
)

// packetBytesMax is the longest packet of the devices, whose MTU is 1500.
const packetBytesMax = 2048

// weather is what happens to packets on their way: each is late by a time of its
// own, so that they overtake each other.
type weather struct {
	delayMin, delayMax time.Duration
	lost, doubled      float64       // of all packets
	worst              *harness.Node // nil for all; else only what it sends and gets
}

// packetSwitch carries packets between namespaces, each of which has one TUN
// device whose other end is here.
type packetSwitch struct {
	net   *network
	ports map[netip.Addr]*os.File
	readers,
	late sync.WaitGroup

	mu     sync.Mutex // guards the rest
	now    weather
	closed bool
	counts map[string]int
}

// switchRefusal tells why a switch cannot be made here; nil when it can.
func switchRefusal() error {
	if err := networkRefusal(); err != nil {
		return err
	}
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("no TUN devices: %w", err)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// newSwitch gives each node of a cluster that does not run yet an address of its
// own, on a switch.
func newSwitch(t *testing.T, cluster *harness.Cluster) *packetSwitch {
	t.Helper()
	w := &packetSwitch{net: newSpaces(t, cluster), ports: map[netip.Addr]*os.File{}, counts: map[string]int{}}
	all := []*namespace{w.net.hub}
	for _, n := range cluster.Nodes {
		all = append(all, w.net.ends[n])
	}
	for _, ns := range all {
		port, err := w.net.openTUN(ns)
		w.net.must(err)
		w.ports[netip.MustParseAddr(ns.addr)] = port
		w.net.must(ns.run("ip", "addr", "add", ns.addr+"/24", "dev", "eth0"))
		w.net.must(ns.run("ip", "link", "set", "eth0", "up"))
	}
	for _, port := range w.ports {
		w.readers.Go(func() { w.read(port) })
	}
	t.Cleanup(w.close)
	return w
}

// openTUN makes the device eth0 of a namespace and returns its other end.
func (n *network) openTUN(ns *namespace) (port *os.File, err error) {
	entered := n.within(ns, func() {
		var fd int
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			return
		}
		var request *unix.Ifreq
		if request, err = unix.NewIfreq("eth0"); err == nil {
			request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		}
		if err != nil {
			err = errors.Join(err, unix.Close(fd))
			return
		}
		port = os.NewFile(uintptr(fd), "/dev/net/tun")
	})
	if err := errors.Join(entered, err); err != nil {
		return nil, fmt.Errorf("make a TUN device for %s: %w", ns.addr, err)
	}
	return port, nil
}

func (w *packetSwitch) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.late.Wait()
	for _, port := range w.ports {
		port.Close() // ends its reader
	}
	w.readers.Wait()
}

// set changes the weather.
func (w *packetSwitch) set(now weather) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = now
}

// read takes what one namespace sends, until its port is closed.
func (w *packetSwitch) read(port *os.File) {
	for {
		packet := make([]byte, packetBytesMax)
		n, err := port.Read(packet)
		if err != nil {
			return
		}
		w.carry(packet[:n])
	}
}

// carry sends an IPv4 packet on its way; all others go nowhere.
func (w *packetSwitch) carry(packet []byte) {
	const addresses, version4 = 12, 4
	if len(packet) < addresses+8 || packet[0]>>4 != version4 {
		return
	}
	from, _ := netip.AddrFromSlice(packet[addresses : addresses+4])
	to, _ := netip.AddrFromSlice(packet[addresses+4 : addresses+8])
	port := w.ports[to]
	if port == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now
	if now.worst != nil {
		if addr := w.net.ends[now.worst].addr; from.String() != addr && to.String() != addr {
			now = weather{}
		}
	}
	copies := 1
	switch r := rand.Float64(); {
	case w.closed, r < now.lost:
		copies = 0
		w.counts["packets lost"]++
	case r < now.lost+now.doubled:
		copies = 2
		w.counts["packets doubled"]++
	}
	for range copies {
		if now.delayMax == 0 {
			_, _ = port.Write(packet) // a full queue loses packets, as queues do
			continue
		}
		w.counts["packets delayed"]++
		w.late.Add(1)
		time.AfterFunc(now.delayMin+rand.N(now.delayMax-now.delayMin+1), func() {
			defer w.late.Done()
			_, _ = port.Write(packet)
		})
	}
}
