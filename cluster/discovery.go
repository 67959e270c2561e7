package cluster

// Peer is what a node says of itself in gossip.
type Peer struct {
	NodeID      string `json:"i"`
	ClusterID   string `json:"c,omitempty"` // "" while not admitted
	DirectoryID string `json:"d,omitempty"`
	PeerAddr    string `json:"p"`
	HTTPAddr    string `json:"h,omitempty"`
	Expect      int    `json:"e,omitempty"`
	Version     string `json:"v,omitempty"`

	// GossipAddr is where the others reach its gossip. Discovery fills it in.
	GossipAddr string `json:"-"`
}

// Discovery finds the other nodes. Open starts it and Node.Close closes it.
type Discovery interface {
	// Start begins to publish me and to look for others at the seeds.
	Start(me Peer, seeds []string) error
	// Publish replaces what is published of this node.
	Publish(me Peer) error
	// Seed adds addresses to look for others at.
	Seed(addrs []string)
	// Peers lists the other nodes that are believed alive, in any order.
	Peers() []Peer
	// Changed has a token after Peers changed.
	Changed() <-chan struct{}
	// GossipAddr is where others reach this node; "" when they cannot.
	GossipAddr() string
	// Self reports whether a join address names this node.
	Self(addr string) bool
	Close() error
}
