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
	"sync/atomic"
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
	// deadReclaimTime is how long a member must be dead before it may come back
	// at another address.
	deadReclaimTime = 10 * time.Second
	// publishTimeout bounds the spreading of new metadata.
	publishTimeout = 2 * time.Second
)

// GossipConfig configures Gossip. Zero values mean the documented default.
type GossipConfig struct {
	NodeID    string       // required
	Bind      string       // required: HOST:PORT, UDP and TCP
	Advertise string       // HOST:PORT by which others reach it; Bind, or an address of this machine
	Log       *slog.Logger // slog.DiscardHandler

	Encryption Encryption // EncryptionOff
	Keyring    *Keyring   // required, but for EncryptionOff
}

// Encryption is what gossip sends and what it takes. Nodes of two neighbouring
// ones, in this order, understand each other.
type Encryption string

// The kinds of Encryption.
const (
	EncryptionOff      Encryption = "off"      // sends plain, takes plain
	EncryptionAccept   Encryption = "accept"   // sends plain, takes both
	EncryptionSend     Encryption = "send"     // sends encrypted, takes both
	EncryptionRequired Encryption = "required" // sends encrypted, takes encrypted
)

// Validate names the setting that is wrong.
func (c GossipConfig) Validate() error {
	switch c.Encryption {
	case "", EncryptionOff:
	case EncryptionAccept, EncryptionSend, EncryptionRequired:
		if c.Keyring == nil {
			return fmt.Errorf("gossip encryption %s needs keys", c.Encryption)
		}
	default:
		return fmt.Errorf("gossip encryption %q is none of %s, %s, %s and %s", c.Encryption, EncryptionOff, EncryptionAccept, EncryptionSend, EncryptionRequired)
	}
	return nil
}

// Gossip is the Discovery of the product, by memberlist.
type Gossip struct {
	cfg     GossipConfig
	log     *slog.Logger
	lines   *gossipLog
	list    atomic.Pointer[memberlist.Memberlist]
	changed chan struct{}
	stop    chan struct{}
	group   group

	mu     sync.Mutex // guards what follows
	me     Peer
	meta   []byte
	seeds  []string
	peers  map[string]Peer // alive, this node not included
	refuse map[string]string
	own    string // the address that memberlist tells others
	closed bool
	away   bool // Advertise has not resolved yet: this node is known by another address
	down   bool // nothing is left to close
}

// NewGossip binds the gossip port; Start begins to use it.
func NewGossip(cfg GossipConfig) (*Gossip, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gossip{
		cfg: cfg, log: cfg.Log.With("part", "gossip"), lines: newGossipLog(cfg.Log.With("part", "gossip")),
		changed: make(chan struct{}, 1), stop: make(chan struct{}),
		peers: map[string]Peer{}, refuse: map[string]string{},
	}
	if err := g.open(); err != nil {
		return nil, err
	}
	return g, nil
}

// open binds the port. Until Start this node says nothing of itself, and is no
// peer to others.
func (g *Gossip) open() error {
	mc := memberlist.DefaultLANConfig()
	mc.Name = g.cfg.NodeID
	mc.LogOutput = g.lines
	if g.cfg.Keyring != nil && g.cfg.Encryption != EncryptionOff {
		mc.Keyring = g.cfg.Keyring.ring
		mc.GossipVerifyIncoming = g.cfg.Encryption == EncryptionRequired
		mc.GossipVerifyOutgoing = g.cfg.Encryption != EncryptionAccept
	}
	mc.Delegate, mc.Events, mc.Alive, mc.Merge, mc.Conflict = g, g, g, g, g
	mc.DeadNodeReclaimTime = deadReclaimTime
	var err error
	if mc.BindAddr, mc.BindPort, err = resolve(g.cfg.Bind); err != nil {
		return fmt.Errorf("gossip address: %w", err)
	}
	mc.AdvertisePort = mc.BindPort
	away := false
	if g.cfg.Advertise != "" {
		addr, port, err := resolve(g.cfg.Advertise)
		if err == nil {
			mc.AdvertiseAddr, mc.AdvertisePort = addr, port
		} else { // a name may appear some time after the process it belongs to
			away = true
			g.log.Warn("the advertised gossip address does not resolve yet; an address of this machine is used until it does", "addr", g.cfg.Advertise, "err", err)
		}
	}
	list, err := memberlist.Create(mc)
	if err != nil {
		return fmt.Errorf("listen for gossip on %s: %w", g.cfg.Bind, err)
	}
	g.list.Store(list)
	own := list.LocalNode().Address() // read before anything is published: memberlist writes to it then
	g.mu.Lock()
	g.own, g.away = own, away
	g.mu.Unlock()
	return nil
}

// comeHome opens gossip again once the advertised address resolves: memberlist
// cannot change its address.
func (g *Gossip) comeHome() {
	g.mu.Lock()
	away := g.away
	g.mu.Unlock()
	if !away {
		return
	}
	if _, _, err := resolve(g.cfg.Advertise); err != nil {
		return
	}
	old := g.list.Load()
	if err := errors.Join(old.Leave(publishTimeout), old.Shutdown()); err != nil {
		g.log.Debug("gossip closed to be opened again", "err", err)
	}
	for {
		err := g.open()
		if err == nil {
			g.log.Info("the advertised gossip address resolves now", "addr", g.cfg.Advertise)
			return
		}
		g.log.Error("gossip could not be opened again at the advertised address", "addr", g.cfg.Advertise, "err", err)
		select {
		case <-time.After(seekInterval):
		case <-g.stop:
			g.mu.Lock()
			g.down = true
			g.mu.Unlock()
			return
		}
	}
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
	if err := g.list.Load().UpdateNode(publishTimeout); err != nil {
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
		g.comeHome()
		for _, a := range g.missing() {
			if _, err := g.list.Load().Join([]string{a}); err != nil {
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
	g.mu.Lock()
	seeds := slices.Clone(g.seeds)
	alive := map[string]bool{g.own: true}
	for _, p := range g.peers {
		alive[p.GossipAddr] = true
	}
	g.mu.Unlock()
	return slices.DeleteFunc(seeds, func(a string) bool {
		ip, port, err := resolve(a)
		return err == nil && alive[net.JoinHostPort(ip, strconv.Itoa(port))]
	})
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
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.own
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
	g.mu.Lock()
	own := g.own
	g.mu.Unlock()
	if net.JoinHostPort(ip, strconv.Itoa(port)) == own {
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
	g.mu.Lock()
	down := g.down
	g.mu.Unlock()
	if down {
		return nil
	}
	list := g.list.Load()
	if err := list.Leave(publishTimeout); err != nil {
		g.log.Debug("leaving not spread", "err", err)
	}
	if err := list.Shutdown(); err != nil {
		return fmt.Errorf("stop gossip: %w", err)
	}
	return nil
}
