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
	"mainstem/settings"
	"mainstem/storage"
	"mainstem/wiring"
)

// node is one process's parts, in the order in which they are opened. A part is
// nil until its step has been taken.
type node struct {
	cfg     settings.Config
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
	if n.clients, err = net.Listen("tcp", n.cfg.Server.Addr); err != nil {
		return fmt.Errorf("--addr %s: %w", n.cfg.Server.Addr, err)
	}
	n.opened.push("client port", closeOnce(n.clients))
	n.crowd = newCrowd(n.clients, connsMax(n.cfg.Limits.Connections, openFilesMax()), n.keys != nil, n.metrics)
	n.clients = n.crowd
	if n.peers, err = net.Listen("tcp", n.cfg.Cluster.PeerAddr); err != nil {
		return fmt.Errorf("--peer-addr %s: %w", n.cfg.Cluster.PeerAddr, err)
	}
	n.opened.push("peer port", closeOnce(n.peers))
	if err := n.listenForGossip(); err != nil {
		return fmt.Errorf("--gossip-addr %s: %w", n.cfg.Cluster.GossipAddr, err)
	}
	n.opened.push("gossip port", n.discovery.Close)
	if err := n.listenForAdmin(); err != nil {
		return err
	}
	n.door = new(frontDoor)
	n.opened.told = n.door.progress.note
	n.server = &http.Server{
		Handler:           newProxies(n.cfg.Proxy).around(n.clientPort()),
		ReadHeaderTimeout: n.cfg.Server.ReadHeaderTimeout,
		IdleTimeout:       n.cfg.Server.IdleTimeout,
		MaxHeaderBytes:    int(n.cfg.Limits.HeaderBytes),
		Protocols:         n.cfg.TLS.Protocols(),
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
	if n.cfg.Cluster.GossipAddr == "" {
		n.discovery = cluster.Alone{}
		return nil
	}
	n.discovery, err = cluster.NewGossip(cluster.GossipConfig{
		NodeID: n.cfg.Cluster.NodeID, Bind: n.cfg.Cluster.GossipAddr, Advertise: n.cfg.Cluster.AdvertisedGossip(), Log: n.log,
		Encryption: cluster.Encryption(n.cfg.Cluster.Gossip.Encryption), Keyring: n.keyring(),
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
	if err := storage.ClaimIdentity(identity.FS, dir, n.cfg.Cluster.NodeID); err != nil {
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
	metrics, memory := storage.NewMetrics(n.metrics), n.cfg.Storage.Parts()
	n.engine, err = storage.Open(storage.Config{
		Dir: dir.Copy(), FS: n.fs, CacheBytes: memory.Cache, MemTableBytes: memory.MemTable,
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
	n.machine, err = fsm.New(n.engine, fsm.Config{Log: n.log, TailBytes: memory.Tails, ChunkBytes: memory.Chunks, Committed: n.joined.Committed, Marked: n.scrub.Marked, Damaged: n.health.Found})
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
	c, r := n.cfg.Cluster, n.cfg.Raft
	n.cluster, err = cluster.Open(cluster.Config{
		NodeID: c.NodeID, Version: buildVersion(),
		AdvertisePeer: c.Advertised(n.peers.Addr()), AdvertiseHTTP: c.Advertised(n.clients.Addr()),
		Join: c.Join, BootstrapExpect: c.BootstrapExpect, SubmitTimeout: c.SubmitTimeout,
		HeartbeatTimeout: r.HeartbeatTimeout, ElectionTimeout: r.ElectionTimeout, LeaderLeaseTimeout: r.LeaderLeaseTimeout, CommitTimeout: r.CommitTimeout,
		SnapshotThreshold: uint64(r.SnapshotThreshold), SnapshotInterval: r.SnapshotInterval, TrailingLogs: uint64(r.TrailingLogs),
		SnapshotBytes: uint64(r.SnapshotBytes), TrailingBytes: uint64(r.TrailingBytes),
		Limits:         n.cfg.Stored(),
		ForwardedBytes: n.cfg.Limits.ForwardedBytes,
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
