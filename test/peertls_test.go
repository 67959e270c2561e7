package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

// TestPeerTLSIsSwitchedOnAndOffUnderLoad restarts the nodes of a live cluster in
// turn: to permissive, to required, and back, and takes the encryption of gossip
// along. Plain appends go on all the time, which a client cannot send again; none
// may fail.
func TestPeerTLSIsSwitchedOnAndOffUnderLoad(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	ca := harness.NewAuthority(t)
	dir := harness.Dir(t)
	files := map[string]harness.Credentials{}
	for _, n := range c.Nodes {
		f := harness.CredentialsIn(t, filepath.Join(dir, n.ID))
		cert, key := ca.Issue(nil, n.ID)
		f.Write(t, cert, key, ca.PEM())
		files[n.ID] = f
	}
	keys := filepath.Join(dir, "gossip.keys")
	if err := os.WriteFile(keys, []byte(keyring(t, c.Nodes[0], "generate")), 0o600); err != nil {
		t.Fatal(err)
	}
	l := startPlain(t, c.URLs())
	roll := func(mode, gossip string) {
		for _, n := range c.Nodes {
			l.waitAcks(acksPerRound)
			n.Stop()
			n.Args = nil
			if mode != "off" {
				f := files[n.ID]
				n.Args = []string{"--peer-tls", mode, "--peer-tls-cert", f.Cert, "--peer-tls-key", f.Key, "--peer-tls-ca", f.CA,
					"--gossip-encryption", gossip, "--gossip-keys", keys}
			}
			n.Start()
			n.WaitReady()
			l.waitAcks(acksPerRound)
		}
		t.Logf("%s %s on all nodes: %d appends acknowledged, longest gap %v", mode, gossip, l.acked.Load(), l.gap.Longest().Round(time.Millisecond))
		l.gap.Reset()
	}
	roll("permissive", "accept")
	roll("required", "send")
	roll("required", "required")

	// All that there is now was made by a node that takes TLS alone.
	for _, n := range c.Nodes {
		for _, direction := range []string{"in", "out"} {
			if got := connections(t, n, direction, "plain") + connections(t, n, direction, "unverified"); got != 0 {
				t.Errorf("%s has %v connections %s that nobody has proven", n.ID, got, direction)
			}
			if got := connections(t, n, direction, "verified"); got == 0 {
				t.Errorf("%s has no verified connection %s", n.ID, direction)
			}
		}
		f := files[n.ID] // a new certificate for each, while they run
		cert, key := ca.Issue(nil, n.ID)
		f.Write(t, cert, key, ca.PEM())
	}
	for _, n := range c.Nodes {
		harness.Eventually(t, readAgainWithin, "new certificates of "+n.ID, func() error { return logHas(n, "certificate files for other nodes read again") })
	}
	leader := c.Leader()
	l.waitAcks(acksPerRound)
	leader.Stop() // and new connections everywhere
	leader.Start()
	leader.WaitReady()
	l.waitAcks(acksPerRound)

	roll("permissive", "send")
	roll("permissive", "accept")
	roll("off", "")
	for _, n := range c.Nodes {
		if logHas(n, "gossip of another node cannot be read") == nil {
			t.Errorf("%s could not read gossip on the way", n.ID)
		}
	}
	l.finish()
	l.check(c)
}

const readAgainWithin = 15 * time.Second

// connections is what a node has counted of its connections with others.
func connections(t *testing.T, n *harness.Node, direction, security string) (count float64) {
	t.Helper()
	a, err := n.Client().Get("/metrics", nil)
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("metrics of %s: %s, %v", n.ID, a, err)
	}
	line := regexp.MustCompile(`(?m)^mainstem_peer_connections_total\{direction="` + direction + `",security="` + security + `"\} (\S+)$`).FindSubmatch(a.Body)
	if line == nil {
		t.Fatalf("%s counts no connections %s %s", n.ID, direction, security)
	}
	if _, err := fmt.Sscan(string(line[1]), &count); err != nil {
		t.Fatal(err)
	}
	return count
}

// logHas wants a text in what a node has logged.
func logHas(n *harness.Node, text string) error {
	b, err := os.ReadFile(n.LogPath)
	if err != nil {
		return err
	}
	if !strings.Contains(string(b), text) {
		return fmt.Errorf("its log does not say %q", text)
	}
	return nil
}

// TestANodeWithoutACertificateIsShutOutInASentence: under required, on both sides
// and in the log of both.
func TestANodeWithoutACertificateIsShutOutInASentence(t *testing.T) {
	harness.Require(t)
	c := harness.NewCluster(t, 2)
	ca := harness.NewAuthority(t)
	f := harness.CredentialsIn(t, filepath.Join(harness.Dir(t), "one"))
	cert, key := ca.Issue(nil, "n1")
	f.Write(t, cert, key, ca.PEM())
	one, two := c.Nodes[0], c.Nodes[1]
	one.Args = []string{"--peer-tls=required", "--peer-tls-cert", f.Cert, "--peer-tls-key", f.Key, "--peer-tls-ca", f.CA}
	one.Expect, one.Join = 1, nil
	one.Start()
	one.WaitReady()
	two.Expect = 1
	two.Args = []string{"--log-level=debug"}
	two.Start()
	harness.Eventually(t, readAgainWithin, "a sentence in the member's log", func() error { return logHas(one, "the connection is plain, and this node takes only TLS") })
	harness.Eventually(t, readAgainWithin, "a sentence in the stranger's log", func() error { return logHas(two, "the connection is plain, and this node takes only TLS") })
	if s, err := one.Status(); err != nil || len(s.Members) != 1 {
		t.Errorf("got %+v, %v; want one member", s, err)
	}
}
