package cluster

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// NodeKeys is what a member says of its keys of gossip.
type NodeKeys struct {
	NodeID string   `json:"node_id"`
	Term   uint64   `json:"term"`
	Serial uint64   `json:"serial"`
	Keys   []string `json:"keys"`            // fingerprints; the first encrypts
	Error  string   `json:"error,omitempty"` // why nothing is known of it now
}

// keyMark is a keyring in a report: which one it is, and which keys it has.
type keyMark struct {
	Term   uint64   `json:"term"`
	Serial uint64   `json:"serial"`
	Keys   []string `json:"keys"`
}

func (m keyMark) of(s KeyringState) bool { return m.Term == s.Term && m.Serial == s.Serial }

// keyOffer is a node's keyring, for one that may have an older one. The answer is
// the other's, if that is newer.
type keyOffer struct {
	State KeyringState  `json:"state"`
	Newer *KeyringState `json:"newer,omitempty"`
}

var errNoKeys = &refusal{"gossip is not encrypted on this node (cluster.gossip_encryption = off); switch it on first"}

// keyMark is nil where gossip is not encrypted.
func (n *Node) keyMark() *keyMark {
	if n.cfg.Keyring == nil {
		return nil
	}
	s := n.cfg.Keyring.State()
	return &keyMark{s.Term, s.Serial, s.fingerprints()}
}

// agreeOnKeys brings this node and a member to the newer of their keyrings, if
// they differ. It is how a member that was away learns of a change: the peer port
// does not need the keys.
func (n *Node) agreeOnKeys(ctx context.Context, r report) {
	if n.cfg.Keyring == nil || r.Keys == nil || r.Keys.of(n.cfg.Keyring.State()) {
		return
	}
	if err := n.offerKeys(ctx, r.NodeID); err != nil {
		n.log.Debug("keys of gossip not exchanged", "with", r.NodeID, "err", err)
	}
}

func (n *Node) offerKeys(ctx context.Context, id string) error {
	answer, err := callJSON[keyOffer](keyOffer{State: n.cfg.Keyring.State()}, func(body []byte) (frame, error) {
		return n.pool.call(ctx, id, n.book.addrOf(id), laneSmall, methodKeys, body)
	})
	if err != nil || answer.Newer == nil {
		return err
	}
	return n.cfg.Keyring.adopt(*answer.Newer)
}

// serveKeys takes a newer keyring over, and answers with one that is newer.
func (n *Node) serveKeys(q keyOffer) (keyOffer, error) {
	if n.cfg.Keyring == nil {
		return keyOffer{}, errNoKeys
	}
	if err := n.cfg.Keyring.adopt(q.State); err != nil {
		return keyOffer{}, &refusal{err.Error()}
	}
	if own := n.cfg.Keyring.State(); own.newer(q.State) {
		return keyOffer{Newer: &own}, nil
	}
	return keyOffer{}, nil
}

// Keyrings lists what each member says of its keys, by node id.
func (n *Node) Keyrings(ctx context.Context) ([]NodeKeys, error) {
	if n.cfg.Keyring == nil {
		return nil, errNoKeys
	}
	own := n.keyMark()
	list := []NodeKeys{{NodeID: n.cfg.NodeID, Term: own.Term, Serial: own.Serial, Keys: own.Keys}}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	var mu sync.Mutex // guards list
	var asking sync.WaitGroup
	for _, server := range n.servers() {
		id := string(server.ID)
		if id == n.cfg.NodeID {
			continue
		}
		asking.Go(func() {
			one := NodeKeys{NodeID: id}
			switch r, err := n.exchangeWith(ctx, id); {
			case err != nil:
				one.Error = "out of reach; it is told of a change when it is back"
			case r.Keys == nil:
				one.Error = "gossip is not encrypted on it"
			default:
				one.Term, one.Serial, one.Keys = r.Keys.Term, r.Keys.Serial, r.Keys.Keys
			}
			mu.Lock()
			defer mu.Unlock()
			list = append(list, one)
		})
	}
	asking.Wait()
	slices.SortFunc(list, func(a, b NodeKeys) int { return cmp.Compare(a.NodeID, b.NodeID) })
	return list, nil
}

// ChangeKeys changes the keys of gossip on all members. Those out of reach are
// told when they are back.
func (n *Node) ChangeKeys(ctx context.Context, c KeyChange) error {
	return n.administer(ctx, func(ctx context.Context) error {
		return n.changeKeysAnywhere(ctx, adminRequest{Keys: &c})
	})
}

func (n *Node) changeKeysAnywhere(ctx context.Context, q adminRequest) error {
	return n.atLeader(ctx, methodChangeKeys, q, func(s *seat) error { return n.changeKeys(ctx, s, *q.Keys) })
}

// changeKeys makes the next keyring, on the leader, and brings it to who is in
// reach. What one leader has made and not told another can be lost with it, as
// long as no member has it.
func (n *Node) changeKeys(ctx context.Context, s *seat, c KeyChange) error {
	if n.cfg.Keyring == nil {
		return errNoKeys
	}
	n.changing.take()
	defer n.changing.give()
	term, leads := n.inTenure(s)
	if !leads {
		return notProposed(ErrNoLeader)
	}
	n.tellKeys(ctx) // of a change that the last leader made this one may not know
	own := n.cfg.Keyring.State()
	keys, err := c.apply(own)
	if err != nil {
		return err
	}
	next := KeyringState{Term: max(term, own.Term), Serial: own.Serial + 1, Keys: keys}
	if err := n.cfg.Keyring.adopt(next); err != nil {
		return &refusal{err.Error()}
	}
	for id, err := range n.tellKeys(ctx) {
		n.log.Warn("a member was not told of the changed keys of gossip; it is told when it is back", "member", id, "err", err)
	}
	return nil
}

// tellKeys agrees on the newest keyring with every member in reach, and returns
// why with whom it did not.
func (n *Node) tellKeys(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	var mu sync.Mutex // guards failed
	failed := map[string]error{}
	var telling sync.WaitGroup
	for _, server := range n.servers() {
		id := string(server.ID)
		if id == n.cfg.NodeID {
			continue
		}
		telling.Go(func() {
			if err := n.offerKeys(ctx, id); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[id] = err
			}
		})
	}
	telling.Wait()
	return failed
}

func (n *Node) serveChangeKeys(ctx context.Context, q adminRequest) (struct{}, error) {
	if q.Keys == nil {
		return struct{}{}, &refusal{"no change of keys in the request"}
	}
	q.Hop = true
	return struct{}{}, n.changeKeysAnywhere(ctx, q)
}
