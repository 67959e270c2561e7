package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// metaBytesMax is what memberlist allows a node to say of itself.
	metaBytesMax = memberlist.MetaMaxSize
	// seekInterval is the time between looks for nodes that gossip has lost.
	seekInterval = 2 * time.Second
	// seedsMax bounds the addresses that are looked at.
	seedsMax = 64
	// publishTimeout bounds the spreading of new metadata.
	publishTimeout = 2 * time.Second
)

// GossipConfig configures Gossip. Zero values mean the documented default.
type GossipConfig struct {
	NodeID    string       // required
	Bind      string       // required: HOST:PORT, UDP and TCP
	Advertise string       // HOST:PORT by which others reach it; Bind, or an address of this machine
	Log       *slog.Logger // slog.DiscardHandler
}

// Gossip is the Discovery of the product, by memberlist.
type Gossip struct {
	cfg     GossipConfig
	log     *slog.Logger
	list    *memberlist.Memberlist
	changed chan struct{}
	stop    chan struct{}
	group   group

	mu     sync.Mutex // guards what follows
	me     Peer
	meta   []byte
	seeds  []string
	peers  map[string]Peer // alive, this node not included
	refuse map[string]string
	closed bool
}

// NewGossip binds the gossip port; Start begins to use it.
func NewGossip(cfg GossipConfig) (*Gossip, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gossip{
		cfg: cfg, log: cfg.Log.With("part", "gossip"),
		changed: make(chan struct{}, 1), stop: make(chan struct{}),
		peers: map[string]Peer{}, refuse: map[string]string{},
	}
	mc := memberlist.DefaultLANConfig()
	mc.Name = cfg.NodeID
	mc.LogOutput = gossipLog{g.log}
	mc.Delegate, mc.Events, mc.Alive, mc.Merge, mc.Conflict = g, g, g, g, g
	mc.DeadNodeReclaimTime = 10 * time.Second // a member that comes back at another address
	var err error
	if mc.BindAddr, mc.BindPort, err = resolve(cfg.Bind); err != nil {
		return nil, fmt.Errorf("gossip address: %w", err)
	}
	mc.AdvertisePort = mc.BindPort
	if cfg.Advertise != "" {
		if mc.AdvertiseAddr, mc.AdvertisePort, err = resolve(cfg.Advertise); err != nil {
			return nil, fmt.Errorf("advertised gossip address: %w", err)
		}
	}
	// Until Start this node says nothing of itself, and is no peer to others.
	if g.list, err = memberlist.Create(mc); err != nil {
		return nil, fmt.Errorf("listen for gossip on %s: %w", cfg.Bind, err)
	}
	return g, nil
}

// resolve turns HOST:PORT into what memberlist needs: it knows no names.
func resolve(addr string) (ip string, port int, err error) {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return "", 0, err
	}
	if a.IP == nil {
		return "0.0.0.0", a.Port, nil
	}
	return a.IP.String(), a.Port, nil
}

// Start implements Discovery.
func (g *Gossip) Start(me Peer, seeds []string) error {
	if err := g.Publish(me); err != nil {
		return err
	}
	g.Seed(seeds)
	g.group.spawn(g.seek)
	return nil
}

// Publish implements Discovery.
func (g *Gossip) Publish(me Peer) error {
	meta, err := json.Marshal(me)
	if err != nil {
		return fmt.Errorf("encode gossip metadata: %w", err)
	}
	if len(meta) > metaBytesMax {
		return fmt.Errorf("gossip metadata has %d bytes, %d are allowed; shorten the node id or the advertised addresses", len(meta), metaBytesMax)
	}
	g.mu.Lock()
	g.me, g.meta = me, meta
	for id, p := range g.peers {
		if g.foreign(p) {
			delete(g.peers, id)
		}
	}
	g.mu.Unlock()
	if err := g.list.UpdateNode(publishTimeout); err != nil {
		g.log.Debug("metadata not spread in time; push and pull will", "err", err)
	}
	return nil
}

// Seed implements Discovery.
func (g *Gossip) Seed(addrs []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range addrs {
		if len(g.seeds) < seedsMax && !slices.Contains(g.seeds, a) {
			g.seeds = append(g.seeds, a)
		}
	}
}

// seek contacts the seeds that are not among the living, until Close: gossip
// forgets nodes that were away for long, and names may not resolve at first.
func (g *Gossip) seek() {
	for {
		for _, a := range g.missing() {
			if _, err := g.list.Join([]string{a}); err != nil {
				g.log.Debug("no gossip", "with", a, "err", err)
			}
		}
		select {
		case <-time.After(seekInterval):
		case <-g.stop:
			return
		}
	}
}

func (g *Gossip) missing() []string {
	alive := map[string]bool{}
	for _, m := range g.list.Members() {
		alive[m.Address()] = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []string
	for _, a := range g.seeds {
		ip, port, err := resolve(a)
		if err != nil || !alive[net.JoinHostPort(ip, strconv.Itoa(port))] {
			out = append(out, a)
		}
	}
	return out
}

// Peers implements Discovery.
func (g *Gossip) Peers() []Peer {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]Peer, 0, len(g.peers))
	for _, p := range g.peers {
		out = append(out, p)
	}
	return out
}

// Changed implements Discovery.
func (g *Gossip) Changed() <-chan struct{} { return g.changed }

// GossipAddr implements Discovery.
func (g *Gossip) GossipAddr() string {
	if g.cfg.Advertise != "" {
		return g.cfg.Advertise
	}
	return g.list.LocalNode().Address()
}

// Self implements Discovery.
func (g *Gossip) Self(addr string) bool {
	if addr == g.cfg.Bind || addr == g.cfg.Advertise {
		return true
	}
	ip, port, err := resolve(addr)
	if err != nil {
		return false
	}
	own := g.list.LocalNode()
	if int(own.Port) == port && own.Addr.Equal(net.ParseIP(ip)) {
		return true
	}
	bindIP, bindPort, err := resolve(g.cfg.Bind)
	return err == nil && bindPort == port && bindIP == ip
}

// Close implements Discovery. It tells the others that this node goes away.
func (g *Gossip) Close() error {
	g.mu.Lock()
	again := g.closed
	g.closed = true
	g.mu.Unlock()
	if again {
		return nil
	}
	close(g.stop)
	g.group.wait()
	var errs []error
	if err := g.list.Leave(publishTimeout); err != nil {
		g.log.Debug("leaving not spread", "err", err)
	}
	if err := g.list.Shutdown(); err != nil {
		errs = append(errs, fmt.Errorf("stop gossip: %w", err))
	}
	return errors.Join(errs...)
}
