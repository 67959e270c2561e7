package cluster

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// grantLife is how long a fresh node keeps its word to a minter.
	grantLife = 30 * time.Second
	// mintTimeout is how soon all grants must have come. It is well below
	// grantLife, so that no grant has lapsed when the cluster begins.
	mintTimeout = 10 * time.Second
)

// grantRequest asks a fresh node to be a founder of the minter's cluster, and of
// no other while the grant lasts.
type grantRequest struct {
	Minter    string   `json:"minter"`
	ClusterID string   `json:"cluster_id"`
	Expect    int      `json:"expect"`
	Founders  []string `json:"founders"`
	Begun     bool     `json:"begun,omitempty"` // the cluster's log exists already
}

// grants holds the one promise that a fresh node has given, to itself or to
// another. It is kept in memory: a restart forgets it, and grantLife is longer
// than a minter counts on it.
type grants struct {
	mu     sync.Mutex // guards what follows
	given  grantRequest
	lapses time.Time // of the monotonic clock
}

// give promises q, unless another promise stands.
func (g *grants) give(q grantRequest) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if now.Before(g.lapses) && g.given.ClusterID != q.ClusterID {
		return fmt.Errorf("this node has promised to found cluster %s with node %q", g.given.ClusterID, g.given.Minter)
	}
	g.given, g.lapses = q, now.Add(grantLife)
	return nil
}

// release takes back the promise of one cluster.
func (g *grants) release(clusterID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.given.ClusterID == clusterID {
		g.lapses = time.Time{}
	}
}

// stands reports whether a promise for clusterID is in force.
func (g *grants) stands(clusterID string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return clusterID != "" && g.given.ClusterID == clusterID && time.Now().Before(g.lapses)
}

// serveGrant promises this node to a minter, if it is free to.
func (n *Node) serveGrant(q grantRequest) (struct{}, error) {
	no := func(format string, args ...any) (struct{}, error) {
		return struct{}{}, &refusal{fmt.Sprintf(format, args...)}
	}
	id := n.identity()
	switch {
	case n.seat.Load() != nil:
		return no("this node is a member of cluster %s", id.ClusterID)
	case id.ClusterID != "" && id.ClusterID != q.ClusterID:
		return no("%s", otherCluster(id.ClusterID, q.ClusterID))
	case q.ClusterID == "" || !slices.Contains(q.Founders, n.cfg.NodeID):
		return no("this node is not among the founders %v", q.Founders)
	case !q.Begun && q.Expect != n.cfg.BootstrapExpect:
		return no("this node expects %d founders, node %q expects %d; give all the same --bootstrap-expect", n.cfg.BootstrapExpect, q.Minter, q.Expect)
	}
	for _, p := range n.disco.Peers() {
		if p.ClusterID != "" && p.ClusterID != q.ClusterID {
			return no("this node sees node %q of the existing cluster %s and will join that", p.NodeID, p.ClusterID)
		}
	}
	if err := n.grants.give(q); err != nil {
		return no("%s", err)
	}
	n.log.Info("promised to found a cluster", "minter", q.Minter, "cluster", q.ClusterID)
	return struct{}{}, nil
}

func (n *Node) serveRelease(q grantRequest) (struct{}, error) {
	n.grants.release(q.ClusterID)
	return struct{}{}, nil
}
