package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mainstem/test/harness"
)

// nodeKeys is what `mainstem cluster keyring list --json` says of a node.
type nodeKeys struct {
	NodeID string   `json:"node_id"`
	Keys   []string `json:"keys"`
	Error  string   `json:"error"`
}

func keyring(t *testing.T, n *harness.Node, args ...string) string {
	t.Helper()
	cmd := exec.Command(harness.Binary(t), append([]string{"cluster", "keyring", "--url", n.URL()}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("keyring %v: %v: %s", args, err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// wantKeys waits until those nodes say that they have these keys, in this order.
func wantKeys(t *testing.T, through *harness.Node, nodes []*harness.Node, keys ...string) {
	t.Helper()
	harness.Eventually(t, readAgainWithin, fmt.Sprintf("keys %v on %d nodes", keys, len(nodes)), func() error {
		var list []nodeKeys
		if err := json.Unmarshal([]byte(keyring(t, through, "list", "--json")), &list); err != nil {
			return err
		}
		for _, n := range nodes {
			if !slices.ContainsFunc(list, func(k nodeKeys) bool { return k.NodeID == n.ID && slices.Equal(k.Keys, keys) }) {
				return fmt.Errorf("%s: %+v", n.ID, list)
			}
		}
		return nil
	})
}

// TestGossipKeysAreRotatedOnALiveCluster: one node is away meanwhile and is told
// when it is back; then all start again with what they have kept; and a node with
// the old key is told what is wrong.
func TestGossipKeysAreRotatedOnALiveCluster(t *testing.T) {
	harness.Require(t)
	c := harness.NewCluster(t, 3)
	file := filepath.Join(harness.Dir(t), "old.key")
	one, two, away := c.Nodes[0], c.Nodes[1], c.Nodes[2]
	next := filepath.Join(filepath.Dir(file), "new.key")
	for _, path := range []string{file, next} {
		if err := os.WriteFile(path, []byte(keyring(t, one, "generate")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range c.Nodes {
		n.Args = []string{"--gossip-encryption=required", "--gossip-keys", file}
	}
	c.Start()
	c.WaitReady()
	l := startPlain(t, []string{one.URL(), two.URL()})

	var first []nodeKeys
	if err := json.Unmarshal([]byte(keyring(t, one, "list", "--json")), &first); err != nil || len(first) != 3 || len(first[0].Keys) != 1 {
		t.Fatalf("got %+v, %v; want three nodes with one key", first, err)
	}
	old := first[0].Keys[0]
	added := strings.TrimPrefix(keyring(t, two, "add", next), "added ")
	wantKeys(t, one, c.Nodes, old, added)
	away.Stop()
	l.waitAcks(acksPerRound)
	keyring(t, one, "use", added)
	wantKeys(t, two, []*harness.Node{one, two}, added, old)
	keyring(t, two, "remove", old)
	wantKeys(t, one, []*harness.Node{one, two}, added)
	away.Start()
	away.WaitReady()
	wantKeys(t, away, c.Nodes, added)
	sees := func() {
		t.Helper()
		for _, n := range c.Nodes {
			harness.Eventually(t, readAgainWithin, n.ID+" gossips with all", func() error {
				a, err := n.Client().Get("/metrics", nil)
				if err == nil && !bytes.Contains(a.Body, []byte("mainstem_gossip_members 3\n")) {
					err = fmt.Errorf("not with all")
				}
				return err
			})
		}
	}
	sees()
	l.finish()
	l.check(c)

	for _, n := range c.Nodes {
		info, err := os.Stat(filepath.Join(n.Dir, "gossip-keys.json"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("kept keys of %s: %v, %v; want a file of mode 0600", n.ID, info, err)
		}
		n.Stop()
	}
	c.Start()
	c.WaitReady()
	wantKeys(t, one, c.Nodes, added)
	sees()

	fourth := harness.NewNode(t, harness.Dir(t), "n4")
	fourth.Args, fourth.Join = one.Args, []string{one.GossipAddr}
	fourth.Start()
	harness.Eventually(t, readAgainWithin, "the member's log", func() error { return logHas(one, "a key that this node does not have") })
	harness.Eventually(t, readAgainWithin, "the newcomer's log", func() error { return logHas(fourth, "a key that this node does not have") })
	fourth.Stop()
	fourth.Args = []string{"--gossip-encryption=required", "--gossip-keys", next}
	fourth.Start()
	fourth.WaitReady()
}
