package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
	"mainstem/peertls"
	"mainstem/test/harness"
)

// secured makes nodes with certificates, in virtual time.
type secured struct {
	t     *testing.T
	now   time.Time // of the certificates
	ca    *harness.Authority
	names map[string]string // in a node's certificate, where not its id
	modes map[string]peertls.Mode
	log   loudLog
}

// loudLog keeps what nodes log above Info.
type loudLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *loudLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *loudLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newSecured(t *testing.T) *secured {
	return &secured{t: t, now: time.Now(), ca: harness.NewAuthority(t), names: map[string]string{}, modes: map[string]peertls.Mode{}}
}

func (s *secured) options() clustertest.Options {
	o := options()
	dir := s.t.TempDir()
	o.Network = func(id string, n cluster.Network) cluster.Network {
		if s.modes[id] == "" || s.modes[id] == peertls.Off {
			return n
		}
		files := harness.CredentialsIn(s.t, filepath.Join(dir, id))
		name := id
		if s.names[id] != "" {
			name = s.names[id]
		}
		cert, key := s.ca.Issue(nil, name)
		files.Write(s.t, cert, key, s.ca.PEM())
		g, err := peertls.Open(peertls.Config{
			Mode: s.modes[id], CertPath: files.Cert, KeyPath: files.Key, CAPath: files.CA, NodeID: name,
			Now: func() time.Time { return s.now }, Log: slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
		if err != nil {
			s.t.Fatal(err)
		}
		return g.Around(n)
	}
	return o
}

func (s *secured) all(mode peertls.Mode) {
	for _, id := range []string{"n1", "n2", "n3", "n4"} {
		s.modes[id] = mode
	}
}

// TestAClusterChangesToTLSAndBackByRestartingItsNodesInTurn.
func TestAClusterChangesToTLSAndBackByRestartingItsNodesInTurn(t *testing.T) {
	s := newSecured(t)
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, s.options())
		written := 0
		for _, mode := range []peertls.Mode{peertls.Permissive, peertls.Required, peertls.Permissive, peertls.Off} {
			for _, id := range c.IDs() {
				c.Stop(id)
				s.modes[id] = mode
				c.Start(id, 3, "n1", "n2", "n3")
				c.WaitReady(c.IDs()...)
				for _, through := range c.IDs() {
					written++
					submit(t, c.Node(through), fmt.Sprint(written))
					fence(t, c.Node(through))
				}
			}
		}
		for _, id := range c.IDs() {
			fence(t, c.Node(id))
			if got := len(logOf(c.Node(id))); got != written {
				t.Errorf("%s has %d commands, want %d", id, got, written)
			}
		}
		c.Close()
	})
	// A node that stops may break a handshake off, and the plain attempt after it
	// meet the node when it is back and takes TLS alone: that is told, and tried
	// again. Nothing else is.
	for line := range strings.Lines(s.log.String()) {
		if !strings.Contains(line, "the connection is plain") {
			t.Errorf("warned on the way: %s", line)
		}
	}
}

// TestNodesFoundAndJoinAClusterByTLSAlone: nodes that are no members yet prove who
// they are, too.
func TestNodesFoundAndJoinAClusterByTLSAlone(t *testing.T) {
	s := newSecured(t)
	s.all(peertls.Required)
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, s.options())
		c.Start("n4", 1, "n1", "n2", "n3")
		c.WaitReady("n1", "n2", "n3", "n4")
		submit(t, c.Node("n4"), "from the fourth")
		leader := c.WaitLeader(c.IDs()...)
		if err := leader.Transfer(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		submit(t, c.Node("n4"), "after a transfer")
		c.Close()
	})
	if said := s.log.String(); said != "" {
		t.Errorf("warned on the way: %s", said)
	}
}

// TestANodeThatIsNotWhoItSaysDoesNotJoin: it holds a certificate of the cluster's
// authority, of another node.
func TestANodeThatIsNotWhoItSaysDoesNotJoin(t *testing.T) {
	for name, c := range map[string]struct {
		mode peertls.Mode
		name string
		want string
	}{
		"another node's certificate": {peertls.Required, "n3", "the certificate of n3 is for none of the names of this node: n4"},
		"plain":                      {peertls.Off, "", "the connection is plain"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecured(t)
			s.all(peertls.Required)
			s.modes["n4"], s.names["n4"] = c.mode, c.name
			synctest.Test(t, func(t *testing.T) {
				cl := clustertest.Of(t, 3, s.options())
				n4 := cl.Start("n4", 1, "n1", "n2", "n3")
				time.Sleep(30 * time.Second)
				if _, err := n4.Submit(t.Context(), command("x")); err == nil {
					t.Error("it was taken for a member")
				}
				if st := cl.Node("n1").Status(t.Context()); len(st.Members) != 3 {
					t.Errorf("%d members, want 3", len(st.Members))
				}
				submit(t, cl.Node("n1"), "the others go on")
				cl.Close()
			})
			said := s.log.String()
			if !strings.Contains(said, c.want) {
				t.Errorf("the log does not say %q: %s", c.want, said)
			}
			if n := strings.Count(said, "\n"); n > 6 {
				t.Errorf("%d warnings in 30 s: %s", n, said)
			}
		})
	}
}

// TestAnotherClustersCertificateIsNotEnough: the id of the cluster is asked for
// under TLS as well.
func TestAnotherClustersCertificateIsNotEnough(t *testing.T) {
	s := newSecured(t)
	s.all(peertls.Required)
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, s.options())
		var network cluster.Network = s.options().Network("n4", c.Net.Host("n4"))
		err := cluster.Greet(t.Context(), network, clustertest.Addr("n1"), "n4", "another")
		if err == nil || !strings.Contains(err.Error(), "the caller to cluster another") {
			t.Errorf("got %v, want a refusal that names both clusters", err)
		}
		c.Close()
	})
}

// TestAToolWithoutACertificateLearnsWhoIsThere: mainstem recover must not take a
// node for lost because it asks for TLS.
func TestAToolWithoutACertificateLearnsWhoIsThere(t *testing.T) {
	s := newSecured(t)
	s.all(peertls.Required)
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 1, s.options())
		id, clusterID, err := cluster.WhoIs(context.Background(), c.Net.Host("tool"), clustertest.Addr("n1"), "tool")
		if err != nil || id != "n1" || clusterID == "" {
			t.Errorf("got %q of %q, %v", id, clusterID, err)
		}
		c.Close()
	})
}
