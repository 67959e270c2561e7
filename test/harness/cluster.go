package harness

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const settleWithin = 20 * time.Second

// Cluster is a set of nodes that were given the same join list.
type Cluster struct {
	Nodes []*Node
	t     testing.TB
}

// NewCluster prepares n nodes, n1 and so on, that expect each other. Nothing
// runs yet. args are added to the command line of each.
func NewCluster(t testing.TB, n int, args ...string) *Cluster {
	t.Helper()
	dir := Dir(t)
	c := &Cluster{t: t}
	var join []string
	for i := range n {
		node := NewNode(t, dir, fmt.Sprintf("n%d", i+1))
		node.Args = args
		join = append(join, node.GossipAddr)
		c.Nodes = append(c.Nodes, node)
	}
	for _, node := range c.Nodes {
		node.Join, node.Expect = join, n
	}
	return c
}

// StartCluster starts n nodes and waits until all are ready.
func StartCluster(t testing.TB, n int, args ...string) *Cluster {
	t.Helper()
	c := NewCluster(t, n, args...)
	c.Start()
	c.WaitReady()
	return c
}

// Start starts every node that does not run.
func (c *Cluster) Start() {
	c.t.Helper()
	for _, n := range c.Nodes {
		if !n.Running() {
			n.Start()
		}
	}
}

// WaitReady waits until every node is ready.
func (c *Cluster) WaitReady() {
	c.t.Helper()
	for _, n := range c.Nodes {
		n.WaitReady()
	}
}

// Kill crashes all nodes, one right after the other.
func (c *Cluster) Kill() {
	c.t.Helper()
	for _, n := range c.Nodes {
		n.Kill()
	}
}

// Leader waits until all running nodes name the same running leader.
func (c *Cluster) Leader() *Node {
	c.t.Helper()
	var leader *Node
	Eventually(c.t, settleWithin, "one leader known to all", func() error {
		var err error
		leader, err = c.leader()
		return err
	})
	return leader
}

func (c *Cluster) leader() (*Node, error) {
	var named string
	for _, n := range c.Nodes {
		if !n.Running() {
			continue
		}
		s, err := n.Status()
		switch {
		case err != nil:
			return nil, err
		case s.Leader == "":
			return nil, fmt.Errorf("%s knows no leader", n.ID)
		case named != "" && named != s.Leader:
			return nil, fmt.Errorf("%s names %s, another %s", n.ID, s.Leader, named)
		}
		named = s.Leader
	}
	n := c.Node(named)
	if n == nil || !n.Running() {
		return nil, fmt.Errorf("the leader %q does not run", named)
	}
	return n, nil
}

// Node returns a node by id, or nil.
func (c *Cluster) Node(id string) *Node {
	for _, n := range c.Nodes {
		if n.ID == id {
			return n
		}
	}
	return nil
}

// Followers returns the nodes that do not lead.
func (c *Cluster) Followers() []*Node {
	c.t.Helper()
	leader := c.Leader()
	var rest []*Node
	for _, n := range c.Nodes {
		if n != leader {
			rest = append(rest, n)
		}
	}
	return rest
}

// URLs returns the base URL of each node.
func (c *Cluster) URLs() []string {
	var urls []string
	for _, n := range c.Nodes {
		urls = append(urls, n.URL())
	}
	return urls
}

// WaitEqual waits until all nodes have applied the same index and checks that
// their copies are then byte-identical. It returns the common digest.
func (c *Cluster) WaitEqual() Sum {
	c.t.Helper()
	var sums []Sum
	Eventually(c.t, settleWithin, "equal applied indexes", func() error {
		var err error
		sums, err = c.sums()
		return err
	})
	for i, s := range sums {
		if s != sums[0] {
			c.t.Fatalf("at applied index %d the copy of %s is %+v and that of %s is %+v",
				s.Applied, c.Nodes[i].ID, s, c.Nodes[0].ID, sums[0])
		}
	}
	return sums[0]
}

// sums returns one digest per node, or an error while they are of different
// indexes.
func (c *Cluster) sums() ([]Sum, error) {
	var sums []Sum
	var applied []string
	same := true
	for _, n := range c.Nodes {
		s, err := n.Checksum()
		if err != nil {
			return nil, err
		}
		sums = append(sums, s)
		applied = append(applied, fmt.Sprintf("%s %d", n.ID, s.Applied))
		same = same && s.Applied == sums[0].Applied
	}
	if !same {
		return nil, errors.New(strings.Join(applied, ", "))
	}
	return sums, nil
}
