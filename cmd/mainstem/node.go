package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"mainstem/auth"
	"mainstem/cluster"
	"mainstem/deliver"
	"mainstem/fsm"
	"mainstem/httpapi"
	"mainstem/peertls"
	"mainstem/scrub"
	"mainstem/storage"
	"mainstem/wiring"
)

// node is one process's parts, in the order in which they are opened. A part is
// nil until its step has been taken.
type node struct {
	cfg     config
	log     *slog.Logger
	recent  *recentLog // of log
	metrics *prometheus.Registry
	tracer  trace.Tracer // nil: no traces
	opened  stack        // closes what the steps opened

	// listen
	keys           *keychain      // nil without TLS
	peerTLS        *peertls.Guard // nil for off
	gossip         *gossipKeys    // nil for none
	gate           *auth.Gate
	clients, peers net.Listener
	crowd          *crowd       // is clients
	admins         net.Listener // nil for none
	discovery      cluster.Discovery
	door           *frontDoor
	server         *http.Server
	busy           busyConns
	// openStorage
	dir     storage.Dir
	fs      vfs.FS         // of the copy: the operating system's, or memory
	space   *storage.Space // nil without a disk
	engine  *storage.Engine
	raftLog *storage.Log // nil without a disk
	stores  cluster.Stores
	machine *fsm.Machine
	joined  *wiring.Latch // of cluster, for those whom the cluster calls while it opens
	health  *scrub.Quarantine
	scrub   *scrub.Scrubber
	// joinCluster
	deliverer *deliver.Deliverer
	cluster   *cluster.Node
	// letIn
	api     *httpapi.Server
	backups *backups
	// stop
	closeBy time.Time // zero before
}

// listen takes the ports of clients, peers and gossip. Nothing is on disk yet.
func (n *node) listen() (err error) {
	if n.clients, err = net.Listen("tcp", n.cfg.server.addr); err != nil {
		return fmt.Errorf("--addr %s: %w", n.cfg.server.addr, err)
	}
	n.opened.push("client port", closeOnce(n.clients))
	n.crowd = newCrowd(n.clients, connsMax(n.cfg.limits.connections, openFilesMax()), n.keys != nil, n.metrics)
	n.clients = n.crowd
	if n.peers, err = net.Listen("tcp", n.cfg.cluster.peerAddr); err != nil {
		return fmt.Errorf("--peer-addr %s: %w", n.cfg.cluster.peerAddr, err)
	}
	n.opened.push("peer port", closeOnce(n.peers))
	if err := n.listenForGossip(); err != nil {
		return fmt.Errorf("--gossip-addr %s: %w", n.cfg.cluster.gossipAddr, err)
	}
	n.opened.push("gossip port", n.discovery.Close)
	if err := n.listenForAdmin(); err != nil {
		return err
	}
	n.door = new(frontDoor)
	n.opened.told = n.door.progress.note
	n.server = &http.Server{
		Handler:           newProxies(n.cfg.proxy).around(n.clientPort()),
		ReadHeaderTimeout: n.cfg.server.readHeaderTimeout,
		IdleTimeout:       n.cfg.server.idleTimeout,
		MaxHeaderBytes:    int(n.cfg.limits.headerBytes),
		Protocols:         n.cfg.tls.protocols(),
		ConnState:         n.busy.note,
		ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelDebug), // of clients that broke off
	}
	if n.keys != nil {
		n.server.TLSConfig = n.keys.serverConfig()
	}
	return nil
}

// listenForGossip takes the gossip port, over which nothing is said of this node
// before it joins. A node without one finds nobody.
func (n *node) listenForGossip() (err error) {
	if n.cfg.cluster.gossipAddr == "" {
		n.discovery = cluster.Alone{}
		return nil
	}
	n.discovery, err = cluster.NewGossip(cluster.GossipConfig{
		NodeID: n.cfg.cluster.nodeID, Bind: n.cfg.cluster.gossipAddr, Advertise: n.cfg.cluster.advertisedGossip(), Log: n.log,
		Encryption: cluster.Encryption(n.cfg.cluster.gossip.encryption), Keyring: n.keyring(),
	})
	return err
}

// openStorage opens this node's durable parts and the machine over them.
func (n *node) openStorage() error {
	dir, err := n.takeDataDir()
	if err != nil {
		return err
	}
	n.dir = dir
	identity := wiring.IdentityFile{FS: storage.StrictFS(n.fs, n.die), Dir: dir}
	if err := storage.ClaimIdentity(identity.FS, dir, n.cfg.cluster.nodeID); err != nil {
		return err
	}
	n.joined = wiring.NewLatch()
	if err := n.openSpace(dir); err != nil {
		return err
	}
	if err := storage.CheckUndamaged(n.fs, dir); err != nil {
		return err
	}
	n.health = n.newQuarantine(dir)
	metrics, memory := storage.NewMetrics(n.metrics), n.cfg.storage.parts()
	n.engine, err = storage.Open(storage.Config{
		Dir: dir.Copy(), FS: n.fs, CacheBytes: memory.cache, MemTableBytes: memory.memTable,
		MayMerge: n.mayMerge(), Log: n.log, Metrics: metrics, Fatal: n.die, Damaged: n.health.Found,
	})
	if err != nil {
		return err
	}
	n.opened.push("copy", n.engine.Close)
	n.showStored()
	n.metrics.MustRegister(storage.NewCopyMetrics(n.engine))
	checks, err := n.openRaftStores(dir, identity, metrics)
	if err != nil {
		return err
	}
	n.watchDisk()
	if n.scrub, err = n.newScrubber(checks); err != nil {
		return err
	}
	n.opened.push("scrub", n.scrub.Close)
	n.machine, err = fsm.New(n.engine, fsm.Config{Log: n.log, TailBytes: memory.tails, ChunkBytes: memory.chunks, Committed: n.joined.Committed, Marked: n.scrub.Marked, Damaged: n.health.Found})
	return err
}

// die ends the process after an error that leaves the copy or the log in doubt.
// Nothing is closed: what is on disk is what a kill would leave, which a start
// can deal with, and a close might write.
func (n *node) die(err error) {
	n.log.Error("storage failed; this process ends, and what it acknowledged is on the disks of a quorum", "err", err)
	os.Exit(1)
}

// joinCluster takes this node into its cluster, or founds one.
func (n *node) joinCluster() error {
	behind, err := n.behindSnapshot()
	if err != nil {
		return err
	}
	if err := n.prepareDeliveries(); err != nil {
		return err
	}
	c, r := n.cfg.cluster, n.cfg.raft
	n.cluster, err = cluster.Open(cluster.Config{
		NodeID: c.nodeID, Version: buildVersion(),
		AdvertisePeer: c.advertised(n.peers.Addr()), AdvertiseHTTP: c.advertised(n.clients.Addr()),
		Join: c.join, BootstrapExpect: c.bootstrapExpect, SubmitTimeout: c.submitTimeout,
		HeartbeatTimeout: r.heartbeatTimeout, ElectionTimeout: r.electionTimeout, LeaderLeaseTimeout: r.leaderLeaseTimeout, CommitTimeout: r.commitTimeout,
		SnapshotThreshold: uint64(r.snapshotThreshold), SnapshotInterval: r.snapshotInterval, TrailingLogs: uint64(r.trailingLogs),
		SnapshotBytes: uint64(r.snapshotBytes), TrailingBytes: uint64(r.trailingBytes),
		Limits:         n.cfg.stored(),
		ForwardedBytes: n.cfg.limits.forwardedBytes,
		RestoreOnStart: behind, Disk: n.diskToWatch(), Log: n.log, Tracer: n.tracer, Metrics: n.metrics, Lead: n.joined.Leading(n.leading), Watched: n.machine.Watched,
		Health: n.health, Note: n.scrub.Note, Keyring: n.keyring(),
	}, n.machine, n.stores, n.network(), n.discovery)
	if err != nil {
		return err
	}
	n.opened.push("cluster", n.cluster.Close)
	n.joined.Open(n.cluster)
	return nil
}

// behindSnapshot tells whether the newest snapshot holds more than the copy: a
// crash came between receiving it and restoring it.
func (n *node) behindSnapshot() (bool, error) {
	list, err := n.stores.Snapshots.List()
	if err != nil {
		return false, fmt.Errorf("list snapshots: %w", err)
	}
	return len(list) > 0 && list[0].Index > n.engine.Globals().Applied, nil
}

// closeOnce closes a listener that its user may have closed before.
func closeOnce(l io.Closer) func() error {
	return func() error {
		_ = l.Close()
		return nil
	}
}
