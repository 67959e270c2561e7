package cluster

import (
	"net"
)

// proven is a connection that knows what its other end has proven, as those of a
// Network may be. Proves is called once for each, before anything is believed of
// what the other end says; its error is a sentence for both ends.
type proven interface {
	Proves(nodeID string, hosts ...string) error
}

// prove says why the other end of a connection is not taken for a node, known to
// be dialled at those addresses; "" when it is.
func prove(c net.Conn, nodeID string, addrs ...string) string {
	p, asks := c.(proven)
	if !asks {
		return ""
	}
	var hosts []string
	for _, addr := range addrs {
		if host, _, err := net.SplitHostPort(addr); err == nil {
			hosts = append(hosts, host)
		}
	}
	if err := p.Proves(nodeID, hosts...); err != nil {
		return err.Error()
	}
	return ""
}

// proves is prove of who dialled this node. What a caller says of its address
// proves nothing: where a node is dialled is known from gossip and from the log.
func (n *Node) proves(c net.Conn, h hello) string {
	var addrs []string
	for _, p := range n.disco.Peers() {
		if p.NodeID == h.From {
			addrs = append(addrs, p.PeerAddr)
		}
	}
	for _, s := range n.servers() {
		if string(s.ID) == h.From {
			addrs = append(addrs, string(s.Address))
		}
	}
	return prove(c, h.From, addrs...)
}
