package chaos

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mainstem/test/harness"
)

const dialWithin = 2 * time.Second

// network is a bridge in a namespace of its own, where the clients are, and a
// namespace with one address for each node. A namespace lives as long as the
// process that was made in it, and with it all links, addresses and rules in it:
// nothing of the machine's own network is touched, and nothing is left behind.
type network struct {
	t    *testing.T
	hub  *namespace
	home int // descriptor of the test's own namespace
	ends map[*harness.Node]*namespace
}

// namespace is one of the network.
type namespace struct {
	addr   string
	holder *exec.Cmd
}

// networkRefusal tells why a network cannot be made here; nil when it can.
func networkRefusal() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("to make network namespaces needs root, this is uid %d", os.Geteuid())
	}
	for _, program := range []string{"ip", "nft", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			return err
		}
	}
	n, err := newNamespace("")
	if err != nil {
		return err
	}
	defer n.end()
	if err := n.run("nft", "list", "tables"); err != nil {
		return err
	}
	return n.run("ip", "link", "add", "br0", "type", "bridge")
}

// newNetwork gives each node of a cluster that does not run yet an address of
// its own.
func newNetwork(t *testing.T, cluster *harness.Cluster) *network {
	t.Helper()
	net := newSpaces(t, cluster)
	net.must(net.hub.run("ip", "link", "add", "br0", "type", "bridge"))
	net.must(net.hub.run("ip", "addr", "add", net.hub.addr+"/24", "dev", "br0"))
	net.must(net.hub.run("ip", "link", "set", "br0", "up"))
	for i, n := range cluster.Nodes {
		net.plug(net.ends[n], i+1)
	}
	return net
}

// newSpaces makes the namespaces, with addresses that nothing carries yet, and
// tells the nodes of them.
func newSpaces(t *testing.T, cluster *harness.Cluster) *network {
	t.Helper()
	home, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	net := &network{t: t, home: home, ends: map[*harness.Node]*namespace{}}
	t.Cleanup(net.close)
	net.hub = net.add("10.77.0.254")
	var join []string
	for i, n := range cluster.Nodes {
		ns := net.add(fmt.Sprintf("10.77.0.%d", i+1))
		net.ends[n] = ns
		n.Addr, n.PeerAddr, n.GossipAddr = ns.addr+":4437", ns.addr+":4438", ns.addr+":4439"
		n.Wrap = []string{"nsenter", "--net=/proc/" + ns.pid() + "/ns/net", "--"}
		n.Dial = net.dial
		join = append(join, n.GossipAddr)
	}
	for _, n := range cluster.Nodes {
		n.Join = join
	}
	return net
}

func newNamespace(addr string) (*namespace, error) {
	cmd := exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return &namespace{addr: addr, holder: cmd}, nil
}

func (net *network) add(addr string) *namespace {
	net.t.Helper()
	n, err := newNamespace(addr)
	net.must(err)
	net.t.Cleanup(n.end)
	net.must(n.run("ip", "link", "set", "lo", "up"))
	return n
}

// plug ties the namespace of a node to the bridge.
func (net *network) plug(ns *namespace, number int) {
	net.t.Helper()
	port := fmt.Sprintf("port%d", number)
	net.must(net.hub.run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", ns.pid()))
	net.must(net.hub.run("ip", "link", "set", port, "master", "br0", "up"))
	net.must(ns.run("ip", "addr", "add", ns.addr+"/24", "dev", "eth0"))
	net.must(ns.run("ip", "link", "set", "eth0", "up"))
}

// dial opens a connection from the bridge, where the clients are. A socket
// belongs to the namespace in which its thread was when it made it.
func (n *network) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var conn net.Conn
	var failed error
	if err := n.within(n.hub, func() { conn, failed = (&net.Dialer{Timeout: dialWithin}).DialContext(ctx, network, addr) }); err != nil {
		return nil, err
	}
	return conn, failed
}

// within runs f on a thread that is in a namespace.
func (n *network) within(ns *namespace, f func()) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	there, err := unix.Open("/proc/"+ns.pid()+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("enter the namespace of %s: %w", ns.addr, err)
	}
	defer unix.Close(there)
	if err := unix.Setns(there, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the namespace of %s: %w", ns.addr, err)
	}
	f()
	// The thread goes back, since it may be the parent of a process that ends
	// with it. If it cannot, everything it would do later would go astray.
	if err := unix.Setns(n.home, unix.CLONE_NEWNET); err != nil {
		panic(fmt.Sprintf("leave the namespace of %s: %v", ns.addr, err))
	}
	return nil
}

func (ns *namespace) pid() string { return fmt.Sprint(ns.holder.Process.Pid) }

// run runs a program in the namespace.
func (ns *namespace) run(program string, args ...string) error {
	return ns.feed("", program, args...)
}

func (ns *namespace) feed(input, program string, args ...string) error {
	cmd := exec.Command("nsenter", append([]string{"--net=/proc/" + ns.pid() + "/ns/net", "--", program}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (ns *namespace) end() {
	ns.holder.Process.Kill() // it sleeps
	ns.holder.Wait()         // killed, as it should be
}

func (n *network) close() { unix.Close(n.home) }

func (n *network) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// cut is a set of links that are dead in one direction: from the first node to
// the second.
type cut [][2]*harness.Node

// both is a link that is dead in both directions.
func both(a, b *harness.Node) cut { return cut{{a, b}, {b, a}} }

// apply makes exactly these links dead. Packets vanish at the receiver, as they
// do behind a broken switch: nobody is told.
func (n *network) apply(c cut) {
	n.t.Helper()
	for node, ns := range n.ends {
		rules := "table inet chaos\ndelete table inet chaos\ntable inet chaos {\n chain in {\n  type filter hook input priority 0;\n"
		for _, link := range c {
			if link[1] == node {
				rules += "  ip saddr " + n.ends[link[0]].addr + " drop\n"
			}
		}
		n.must(ns.feed(rules+" }\n}\n", "nft", "-f", "-"))
	}
}

// heal lets all packets through.
func (n *network) heal() {
	n.t.Helper()
	n.apply(nil)
}
