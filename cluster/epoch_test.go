package cluster_test

import (
	"encoding/json"
	"strings"
	"testing"

	"mainstem/cluster"
)

func TestARecoveredClusterSupersedesWhatItWasMadeOf(t *testing.T) {
	founded := "4f3c0a"
	first := cluster.Recovered(founded, "aaaa")
	second := cluster.Recovered(first, "bbbb")
	if first != "4f3c0a.1-aaaa" || second != "4f3c0a.2-bbbb" {
		t.Fatalf("got %q and %q", first, second)
	}
	for name, test := range map[string]struct {
		newer, older string
		want         bool
	}{
		"after one recovery":   {first, founded, true},
		"after two":            {second, founded, true},
		"after the second":     {second, first, true},
		"the other way around": {founded, first, false},
		"itself":               {first, first, false},
		"two of one state":     {cluster.Recovered(founded, "cccc"), first, false},
		"another cluster":      {cluster.Recovered("beef", "aaaa"), founded, false},
		"none":                 {"", founded, false},
		"to none":              {first, "", false},
		"a dot and no number":  {founded + ".x-y", founded, false},
	} {
		if got := cluster.Supersedes(test.newer, test.older); got != test.want {
			t.Errorf("%s: Supersedes(%q, %q) is %v", name, test.newer, test.older, got)
		}
	}
}

// Gossip takes 512 bytes of a node, a cluster that was recovered often included.
func TestTheLongestIdentityFitsIntoGossip(t *testing.T) {
	long := strings.Repeat("x", 64)
	b, err := json.Marshal(cluster.Peer{
		NodeID: long, ClusterID: strings.Repeat("f", 32) + ".99-abcdefgh", DirectoryID: strings.Repeat("D", 32),
		PeerAddr: strings.Repeat("a", 128), HTTPAddr: strings.Repeat("a", 128), Expect: 99, Version: strings.Repeat("v", 32),
	})
	if err != nil || len(b) > 512 {
		t.Fatalf("got %d bytes, %v", len(b), err)
	}
}
