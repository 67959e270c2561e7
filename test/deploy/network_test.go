package deploy

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

const (
	bridge  = "pods0"
	gateway = "10.77.0.1"
	domain  = ".svc.cluster.local."
)

// network is a bridge of pods, with the names and the choice of addresses that
// DNS and kube-proxy make of what the real controller says in EndpointSlices.
type network struct {
	c *controlPlane

	mu        sync.Mutex // guards what follows
	last      int
	addresses map[string][]string // by host name
}

func newNetwork(c *controlPlane) *network {
	c.t.Helper()
	n := &network{c: c, last: 1}
	for _, args := range [][]string{
		{"link", "add", bridge, "type", "bridge"}, {"addr", "add", gateway + "/16", "dev", bridge}, {"link", "set", bridge, "up"},
	} {
		if err := ip(args...); err != nil {
			c.t.Skipf("SKIPPED: %v", err)
		}
	}
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			n.learn()
			select {
			case <-time.After(lookEach):
			case <-stop:
				return
			}
		}
	})
	server := &dns.Server{Addr: gateway + ":53", Net: "udp", Handler: dns.HandlerFunc(n.answer)}
	wait.Go(func() { _ = server.ListenAndServe() })
	c.t.Cleanup(func() {
		close(stop)
		_ = server.Shutdown()
		wait.Wait()
		_ = ip("link", "del", bridge)
	})
	return n
}

// learn reads which addresses are behind each name now.
func (n *network) learn() {
	var slices endpointSlices
	if n.c.get("/apis/discovery.k8s.io/v1/namespaces/"+namespace+"/endpointslices", &slices) != nil {
		return
	}
	found := map[string][]string{}
	for _, slice := range slices.Items {
		service := slice.Metadata.Labels["kubernetes.io/service-name"] + "." + namespace + domain
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready != nil && !*e.Conditions.Ready {
				continue
			}
			found[service] = append(found[service], e.Addresses...)
			if e.Hostname != "" {
				found[e.Hostname+"."+service] = e.Addresses
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses = found
}

// behind is where a name leads now.
func (n *network) behind(name string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addresses[strings.ToLower(name)]
}

func (n *network) answer(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	addresses := n.behind(q.Question[0].Name)
	if len(addresses) == 0 {
		m.Rcode = dns.RcodeNameError
	}
	for _, i := range rand.Perm(len(addresses)) {
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.ParseIP(addresses[i])})
		}
	}
	_ = w.WriteMsg(m)
}

// sandbox is a network namespace with an address that no pod had before. It lives
// with a process that does nothing.
type sandbox struct {
	address string
	holder  *exec.Cmd
}

func (n *network) sandbox() (*sandbox, error) {
	n.mu.Lock()
	n.last++
	number := n.last
	n.mu.Unlock()
	s := &sandbox{address: fmt.Sprintf("10.77.%d.%d", number/250, number%250+2), holder: exec.Command("sleep", "infinity")}
	s.holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := s.holder.Start(); err != nil {
		return nil, err
	}
	link, pid := fmt.Sprintf("pod%d", number), fmt.Sprint(s.pid())
	inside := func(args ...string) error {
		_, err := run("", "nsenter", append([]string{"-t", pid, "-n", "ip"}, args...)...)
		return err
	}
	for _, do := range []func() error{
		func() error { return ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", pid) },
		func() error { return ip("link", "set", link, "master", bridge, "up") },
		func() error { return inside("addr", "add", s.address+"/16", "dev", "eth0") },
		func() error { return inside("link", "set", "lo", "up") },
		func() error { return inside("link", "set", "eth0", "up") },
	} {
		if err := do(); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *sandbox) pid() int { return s.holder.Process.Pid }

func (s *sandbox) close() {
	_ = s.holder.Process.Kill()
	_ = s.holder.Wait()
}
