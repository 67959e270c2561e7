package cluster

import "github.com/hashicorp/raft"

// Hint is a commit hint as tests see it.
type Hint = hint

// WatchHints lets f see, and delay, each hint as it is about to be sent.
func (n *Node) WatchHints(f func(to string, h Hint)) {
	send := n.hinter.send
	n.hinter.send = func(to raft.Server, h hint) (bool, error) {
		f(string(to.ID), h)
		return send(to, h)
	}
}

// NotedHint is the newest hint that this node has taken up.
func (n *Node) NotedHint() Hint { return n.hinter.latest() }

// Term is raft's current term.
func (n *Node) Term() uint64 { return n.seat.Load().raft.CurrentTerm() }
