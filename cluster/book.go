package cluster

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// book knows the members' peer addresses: what they say of themselves in gossip
// goes before what the log last recorded, so that members find each other after
// all of them moved.
type book struct {
	self    string               // this node's id ...
	own     string               // ... and peer address
	cluster func() string        // this node's cluster id
	gossip  func() []Peer        // the others, as gossip has them
	servers func() []raft.Server // the members, as the log has them
}

// addrOf returns a member's peer address, "" when it is not known.
func (b *book) addrOf(id string) string {
	if id == b.self {
		return b.own
	}
	for _, p := range b.gossip() {
		if p.NodeID == id && p.ClusterID != "" && p.ClusterID == b.cluster() {
			return p.PeerAddr
		}
	}
	for _, s := range b.servers() {
		if string(s.ID) == id {
			return string(s.Address)
		}
	}
	return ""
}

// idOf returns whose address it is, "" when that is not known for certain.
func (b *book) idOf(addr string) string {
	id := ""
	for _, s := range b.servers() {
		if b.addrOf(string(s.ID)) != addr {
			continue
		}
		if id != "" {
			return ""
		}
		id = string(s.ID)
	}
	return id
}

// ServerAddr implements raft.ServerAddressProvider.
func (b *book) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	if addr := b.addrOf(string(id)); addr != "" {
		return raft.ServerAddress(addr), nil
	}
	return "", fmt.Errorf("no address of node %q is known", id)
}
