package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"mainstem/stream"
)

const (
	// drainTimeout bounds how long Close waits for what was accepted.
	drainTimeout = 10 * time.Second
)

// Node is this process's seat in the cluster.
type Node struct {
	cfg     Config
	log     *slog.Logger
	machine Machine
	stores  Stores
	network Network
	disco   Discovery
	others  []string // join addresses but this node's own
	metrics *metrics

	ctx     context.Context // ends when Close has drained
	cancel  context.CancelFunc
	group   group         // all goroutines, but those that use raft's futures
	raftUse group         // goroutines that use raft's futures; end before raft
	stop    chan struct{} // ends raftUse

	port       *port
	pool       *pool
	book       *book
	clock      *clock
	leader     *leaderWatch
	proposer   proposer
	rounds     rounds
	session    *session
	fences     fences // for this node's callers
	ownFences  fences // of this node as leader
	hinter     hinter
	members    memberTable
	grants     grants
	tenure     tenure
	space      space
	levels     agreement
	forwarded  load
	applying   gate        // entries given to raft.Apply
	suspicions chan string // leaders to be looked at; one waits at most
	departure  departure

	changing    turn // one change of the configuration at a time
	exchangeNow chan struct{}
	warned      struct {
		sync.Mutex // guards the rest
		peers      map[string]int
		clusters   []string
	}

	seat     atomic.Pointer[seat] // nil until admitted
	admitted chan struct{}        // closed with seat

	admission sync.Mutex // one attempt to take the seat at a time
	id        atomic.Pointer[Identity]

	mute     atomic.Bool   // its cluster went on without it: it takes no part in raft
	removing sync.Once     // records that it was removed
	removed  chan struct{} // closed then

	closing  turn // guards what follows
	closed   bool
	closeErr error
}

// Open starts this node. A node with state continues; a fresh one founds a
// cluster or joins one in the background, and answers no raft request before.
func Open(cfg Config, m Machine, stores Stores, network Network, disco Discovery) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	id, hasState, err := loadIdentity(cfg.NodeID, stores)
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, log: cfg.Log.With("node", cfg.NodeID), machine: m, stores: stores, network: network, disco: disco,
		stop: make(chan struct{}), exchangeNow: make(chan struct{}, 1), changing: newTurn(), closing: newTurn(), admitted: make(chan struct{}), removed: make(chan struct{}), suspicions: make(chan string, 1),
	}
	n.id.Store(&id)
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.assemble()
	if n.metrics, err = newMetrics(cfg.Metrics, n.gauges()); err != nil {
		n.cancel()
		return nil, err
	}
	n.proposer.metrics = n.metrics
	if err := n.start(hasState); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// assemble makes the parts know each other.
func (n *Node) assemble() {
	n.warned.peers = map[string]int{}
	n.session = newSession()
	n.clock = newClock(n.cfg.Now, n.log)
	n.leader = newLeaderWatch(n.ctx, n.cfg.Now())
	n.members = memberTable{life: reachableIntervals * n.cfg.StatusInterval, seen: map[string]sighting{}}
	n.forwarded.max = n.cfg.ForwardedBytes
	n.book = &book{self: n.cfg.NodeID, own: n.cfg.AdvertisePeer, cluster: n.clusterID, gossip: n.disco.Peers, servers: n.servers}
	n.port = &port{
		me: n.welcome, proves: n.proves, judge: n.judge, handle: n.handle, onReject: n.rejected, onGone: n.suspectLeader,
		raft: make(chan net.Conn), draining: make(chan struct{}), conns: map[net.Conn]bool{},
	}
	n.pool = newPool(n.dialPeer, n.group.spawn)
	n.proposer = proposer{
		maxBytes: n.cfg.MaxBatchBytes, maxCommands: n.cfg.MaxBatchCommands,
		inFlightMax: n.batchesInFlight, send: n.sendBatch, spawn: n.group.spawn,
		traced: n.cfg.Tracer != nil,
	}
	n.proposer.init()
	n.rounds = rounds{maxBytes: n.cfg.MaxBatchBytes, inFlightMax: n.batchesInFlight, propose: n.proposeEntry}
	n.fences = fences{round: n.fenceRound, spawn: n.group.spawn, ctx: n.ctx}
	n.ownFences = fences{round: n.ownRound, spawn: n.raftUse.spawn, ctx: n.ctx}
	n.hinter = hinter{
		send: n.hintSender(byTransport), servers: n.servers, self: raft.ServerID(n.cfg.NodeID),
		watched: n.watchedAt, askedLife: reachableIntervals * n.cfg.StatusInterval,
		spawn: n.group.spawn, ctx: n.ctx, peers: map[raft.ServerID]chan struct{}{}, asked: map[raft.ServerID]time.Time{},
	}
}

func (n *Node) start(hasState bool) error {
	var err error
	if n.port.listener, err = n.network.Listen(); err != nil {
		return err
	}
	for _, addr := range n.cfg.Join {
		if addr = strings.TrimSpace(addr); addr != "" && !n.disco.Self(addr) {
			n.others = append(n.others, addr)
		}
	}
	if hasState {
		if len(n.others) > 0 || n.cfg.BootstrapExpect > 1 {
			n.log.Info("this node has state; join and bootstrap-expect are ignored, but for finding gossip", "cluster", n.clusterID())
		}
		if err := n.takeSeat(n.clusterID(), nil, "continued"); err != nil {
			return err
		}
	}
	n.group.spawn(func() { n.port.serve(n.ctx, n.group.spawn) })
	if err := n.disco.Start(n.ownPeer(), n.others); err != nil {
		return fmt.Errorf("start gossip: %w", err)
	}
	if !hasState {
		n.group.spawn(n.seekAdmission)
	}
	return nil
}

// takeSeat makes this node a member: what cluster it belongs to is durable
// before raft starts. founders, if any, begin the log.
func (n *Node) takeSeat(clusterID string, founders []raft.Server, how string) error {
	n.admission.Lock()
	defer n.admission.Unlock()
	if n.seat.Load() != nil {
		return nil
	}
	if n.ctx.Err() != nil {
		return ErrClosing
	}
	if founders != nil {
		if err := n.beginLog(clusterID, founders); err != nil {
			return err
		}
	}
	if id := n.identity(); id.ClusterID != clusterID {
		id.ClusterID = clusterID
		if err := n.stores.Identity.Save(id); err != nil {
			return fmt.Errorf("save node identity: %w", err)
		}
		n.id.Store(&id)
	}
	s, err := n.openSeat()
	if err != nil {
		return err
	}
	n.seat.Store(s)
	close(n.admitted)
	n.log.Info("member of a cluster", "cluster", clusterID, "how", how)
	n.raftUse.spawn(func() { n.watchLeader(s, n.stop) })
	n.raftUse.spawn(func() { n.watchLeadership(s, n.stop) })
	n.raftUse.spawn(func() { n.exchangeReports(s, n.stop) })
	n.raftUse.spawn(func() { n.remindFounders(s, n.stop) })
	n.group.spawn(func() { n.lookIntoSuspicions(s) })
	n.raftUse.spawn(func() { n.compactLog(s, n.stop) })
	n.group.spawn(func() {
		if err := n.disco.Publish(n.ownPeer()); err != nil {
			n.log.Warn("membership not published", "err", err)
		}
	})
	return nil
}

// Submit puts a command into the log and returns what the machine made of it. A
// *NoSpaceError refuses one that stream.Grows while a disk is full, a *LevelError
// one that a member's version does not understand.
func (n *Node) Submit(ctx context.Context, c stream.Command) (stream.Result, error) {
	return n.SubmitTimed(ctx, c, nil)
}

// refuse returns why a command cannot be taken, nil if it can.
func (n *Node) refuse(c stream.Command) error {
	if err := n.space.refuse(c); err != nil {
		return err
	}
	return n.refuseLevel(stream.LevelOf(c))
}

// batchesInFlight is one on a single node, where a second would only make both
// wait for the disk, and two in a cluster: of this node's batches, and of the
// rounds of a leader.
func (n *Node) batchesInFlight() int {
	if n.cfg.BatchesInFlight > 0 {
		return n.cfg.BatchesInFlight
	}
	if s := n.seat.Load(); s != nil && s.single.Load() {
		return 1
	}
	return 2
}

func (n *Node) identity() Identity { return *n.id.Load() }
