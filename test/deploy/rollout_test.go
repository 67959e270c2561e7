package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	readyWithin = 3 * time.Minute
	unreadyFor  = 8 * time.Second
)

// TestAReleaseOnRealControllers installs the chart by helm before a real API
// server and the real controllers, with processes of the binary for pods, and
// does to it what operators do, under load. Never may fewer nodes take part than
// a quorum, and no append may fail.
func TestAReleaseOnRealControllers(t *testing.T) {
	c := startControlPlane(t)
	binary, err := filepath.Abs("../../bin/mainstem")
	if err != nil {
		t.Fatal(err)
	}
	k := startKubelet(c, binary)
	keys, err := run("", binary, "cluster", "keyring", "generate")
	if err != nil {
		t.Fatal(err)
	}
	k.makeSecret("gossip", map[string][]byte{"gossip.keys": []byte(keys)})
	c.helm("install", release, chart, "--set", "gossip.encryption=required,gossip.keySecret=gossip", "--wait", "--timeout", "3m")
	k.wantMembers(t, 3)
	k.journal.want(2)
	steps := []struct {
		name string
		do   func(*testing.T, *kubelet)
	}{
		{"a rolling upgrade", rolling}, {"an upgrade while a pod is unready", unready},
		{"TLS between the nodes", peerTLS}, {"three to five and back", scaling}, {"all pods deleted", deleted}, {"helm test", helmTest},
	}
	for _, step := range steps {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, k) }) {
			return
		}
		k.journal.check(t)
	}
}

// rolling restarts every pod by a change of the template. Each comes back at a
// new address.
func rolling(t *testing.T, k *kubelet) {
	l := startLoad(t, k, "rolling")
	before := k.nodes(t)
	k.helm("upgrade", release, chart, "--reuse-values", "--set-string", "podAnnotations.round=1", "--wait", "--timeout", "5m")
	after := k.nodes(t)
	for name, p := range after {
		if p.Metadata.UID == before[name].Metadata.UID || p.Status.PodIP == before[name].Status.PodIP {
			t.Errorf("%s was not replaced: it is %s at %s still", name, p.Metadata.UID, p.Status.PodIP)
		}
	}
	k.wantMembers(t, 3)
	l.more(acksBetween)
	t.Logf("longest gap between acknowledgements %v; no fewer than %d nodes took part", l.gap(), k.journal.check(t))
	l.check(k.network)
}

// unready is the case in which the controller deletes healthy pods though one is
// unready: they stay until it is back.
func unready(t *testing.T, k *kubelet) {
	before := k.nodes(t)
	first, last := release+"-0", release+"-2"
	k.hold(first, true)
	k.crash(t, first)
	k.eventually(readyWithin, first+" unready", func() error {
		if k.nodes(t)[first].ready() {
			return errors.New("it is ready")
		}
		if n := len(k.network.behind(clientName)); n != 2 {
			return fmt.Errorf("the Service leads to %d pods", n)
		}
		return nil
	})
	l := startLoad(t, k, "unready")
	k.helm("upgrade", release, chart, "--reuse-values", "--set-string", "podAnnotations.round=2")
	k.eventually(readyWithin, "the controller's deletion of "+last, func() error {
		if k.nodes(t)[last].Metadata.DeletionTimestamp == nil {
			return errors.New("not yet")
		}
		return nil
	})
	time.Sleep(unreadyFor) // the time in which, without a gate, the quorum would be lost
	if got := k.partakers(); !slices.Contains(got, last) {
		t.Fatalf("%s has left while %s is away; %v are left", last, first, got)
	}
	l.more(acksBetween)
	k.hold(first, false)
	k.eventually(readyWithin, "all replaced and ready", func() error {
		for name, p := range k.nodes(t) {
			if p.Metadata.UID == before[name].Metadata.UID || !p.ready() {
				return fmt.Errorf("%s is %s, ready %v", name, p.Metadata.UID, p.ready())
			}
		}
		return nil
	})
	k.wantMembers(t, 3)
	l.more(acksBetween)
	t.Logf("longest gap between acknowledgements %v; no fewer than %d nodes took part", l.gap(), k.journal.check(t))
	l.check(k.network)
}

// peerTLS is switched on in a running cluster by two upgrades.
func peerTLS(t *testing.T, k *kubelet) {
	l := startLoad(t, k, "peers")
	k.makeSecret("peers", peerCertificate(t))
	for _, mode := range []string{"permissive", "required"} {
		k.helm("upgrade", release, chart, "--reuse-values", "--set", "tls.peer.secretName=peers,tls.peer.mode="+mode, "--wait", "--timeout", "5m")
		k.wantMembers(t, 3)
		l.more(acksBetween)
		t.Logf("%s: longest gap between acknowledgements %v; no fewer than %d nodes took part", mode, l.gap(), k.journal.check(t))
	}
	l.check(k.network)
}

// scaling goes up, which restarts nobody, and down, which removes members first.
func scaling(t *testing.T, k *kubelet) {
	l := startLoad(t, k, "scaling")
	before := k.nodes(t)
	k.helm("upgrade", release, chart, "--reuse-values", "--set", "replicaCount=5", "--wait", "--timeout", "5m")
	k.wantMembers(t, 5)
	k.journal.want(3)
	for name, p := range before {
		if now := k.nodes(t)[name]; now.Metadata.UID != p.Metadata.UID {
			t.Errorf("%s was replaced by scaling up", name)
		}
	}
	l.more(acksBetween)
	k.journal.check(t)
	k.journal.want(2)
	k.helm("upgrade", release, chart, "--reuse-values", "--set", "replicaCount=3", "--wait", "--timeout", "5m")
	k.wantMembers(t, 3)
	k.eventually(readyWithin, "three pods", func() error {
		if n := len(k.nodes(t)); n != 3 {
			return fmt.Errorf("%d pods", n)
		}
		return nil
	})
	l.more(acksBetween)
	t.Logf("longest gap between acknowledgements %v; no fewer than %d nodes took part", l.gap(), k.journal.check(t))
	l.check(k.network)
}

// deleted takes all pods away at once: they come back with other addresses, and
// with what they held.
func deleted(t *testing.T, k *kubelet) {
	k.journal.want(0)
	l := startLoad(t, k, "deleted")
	l.finish()
	before := k.nodes(t)
	k.must(http.MethodDelete, podsPath+"?labelSelector=app.kubernetes.io/component=node", map[string]any{})
	k.eventually(readyWithin, "all back", func() error {
		nodes := k.nodes(t)
		for name, p := range before {
			now := nodes[name]
			if now.Metadata.UID == p.Metadata.UID || !now.ready() || now.Status.PodIP == p.Status.PodIP {
				return fmt.Errorf("%s is %s at %s, ready %v", name, now.Metadata.UID, now.Status.PodIP, now.ready())
			}
		}
		return nil
	})
	k.wantMembers(t, 3)
	l.check(k.network)
}

func helmTest(t *testing.T, k *kubelet) {
	k.helm("test", release, "--timeout", "2m")
}

// nodes are the pods of the StatefulSet by name.
func (k *kubelet) nodes(t *testing.T) map[string]pod {
	t.Helper()
	var list struct{ Items []pod }
	if err := k.get(podsPath+"?labelSelector=app.kubernetes.io/component=node", &list); err != nil {
		t.Fatal(err)
	}
	nodes := map[string]pod{}
	for _, p := range list.Items {
		nodes[p.Metadata.Name] = p
	}
	return nodes
}

func (k *kubelet) makeSecret(name string, data map[string][]byte) {
	k.t.Helper()
	k.must(http.MethodPost, "/api/v1/namespaces/"+namespace+"/secrets", map[string]any{"metadata": map[string]any{"name": name}, "data": data})
}

// crash kills the process of a pod.
func (k *kubelet) crash(t *testing.T, name string) {
	t.Helper()
	uid := k.nodes(t)[name].Metadata.UID
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.workers[uid].runners {
		r.mu.Lock()
		r.process.signal(syscall.SIGKILL)
		r.mu.Unlock()
	}
}

// wantMembers waits until a node says that so many vote and are in reach, all
// known by names and not by addresses.
func (k *kubelet) wantMembers(t *testing.T, want int) {
	t.Helper()
	k.eventually(readyWithin, fmt.Sprintf("%d voters", want), func() error {
		var status struct {
			FailureTolerance int `json:"failure_tolerance"`
			Members          []struct {
				NodeID    string `json:"node_id"`
				PeerAddr  string `json:"peer_addr"`
				Voter     bool   `json:"voter"`
				Reachable bool   `json:"reachable"`
			} `json:"members"`
		}
		res, err := k.client.Get("http://" + k.nodes(t)[release+"-0"].Status.PodIP + ":4440/v1/cluster/status")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(&status); err != nil {
			return err
		}
		for _, m := range status.Members {
			if !m.Voter || !m.Reachable {
				return fmt.Errorf("%s: voter %v, in reach %v", m.NodeID, m.Voter, m.Reachable)
			}
			if !strings.HasPrefix(m.PeerAddr, m.NodeID+"."+release+"-peers.") {
				t.Fatalf("%s is known as %s, want a name of its own", m.NodeID, m.PeerAddr)
			}
		}
		if len(status.Members) != want || status.FailureTolerance != (want-1)/2 {
			return fmt.Errorf("%d members, %d may fail", len(status.Members), status.FailureTolerance)
		}
		return nil
	})
}
