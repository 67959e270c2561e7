package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Status is what the tests need of GET /v1/cluster/status.
type Status struct {
	NodeID    string   `json:"node_id"`
	ClusterID string   `json:"cluster_id"`
	Leader    string   `json:"leader"`
	Term      uint64   `json:"term"`
	Members   []Member `json:"members"`
}

// Member is one row of a Status.
type Member struct {
	ID    string `json:"node_id"`
	Voter bool   `json:"voter"`
}

// Sum is the answer of GET /v1/cluster/checksum.
type Sum struct {
	Applied uint64 `json:"applied"`
	Sum     string `json:"sum"`
	Keys    uint64 `json:"keys"`
	Bytes   uint64 `json:"bytes"`
}

// Status asks the node what it knows of its cluster.
func (n *Node) Status() (Status, error) {
	var s Status
	err := n.getJSON("/v1/cluster/status", &s)
	return s, err
}

// Checksum asks for the digest of the node's copy.
func (n *Node) Checksum() (Sum, error) {
	var s Sum
	err := n.getJSON("/v1/cluster/checksum", &s)
	if err == nil && s.Sum == "" {
		err = errors.New("the answer has no sum")
	}
	return s, err
}

func (n *Node) getJSON(path string, into any) error {
	a, err := n.ask(path)
	switch {
	case err != nil:
		return err
	case a.Status != 200:
		return fmt.Errorf("GET %s at %s: %s", path, n.ID, a)
	}
	if err := json.Unmarshal(a.Body, into); err != nil {
		return fmt.Errorf("GET %s at %s: %w in %s", path, n.ID, err, a.Body)
	}
	return nil
}

// ask sends one GET over a connection of its own: the process may be another
// than at the last question.
func (n *Node) ask(path string) (Answer, error) {
	c := n.Client()
	defer c.CloseIdle()
	if n.Bearer != "" {
		return c.Get(path, Headers("Authorization", "Bearer "+n.Bearer))
	}
	return c.Get(path, nil)
}

// Ready returns nil when the node says that it is ready.
func (n *Node) Ready() error {
	if !n.Running() {
		return fmt.Errorf("node %s has ended", n.ID)
	}
	a, err := n.ask("/readyz")
	switch {
	case err != nil:
		return err
	case a.Status != 200:
		return fmt.Errorf("GET /readyz at %s: %s", n.ID, a)
	}
	return nil
}

// WaitReady waits until the node is ready.
func (n *Node) WaitReady() {
	n.t.Helper()
	n.WaitReadyWithin(readyWithin)
}

// WaitReadyWithin is WaitReady with a bound that is part of a promise.
func (n *Node) WaitReadyWithin(d time.Duration) {
	n.t.Helper()
	Eventually(n.t, d, "node "+n.ID+" ready", func() error {
		if !n.Running() {
			n.t.Fatalf("node %s was to be ready and has ended", n.ID)
		}
		return n.Ready()
	})
}
