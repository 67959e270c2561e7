package embed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"mainstem/cluster"
	"mainstem/fsm"
	"mainstem/httpapi"
	"mainstem/stream"
)

const (
	// nodeID is the name that an embedded node has in its directory.
	nodeID = "embedded"
	// electionTime is short: nobody else stands.
	electionTime = 50 * time.Millisecond
	// sweepInterval is how often streams whose time is up are looked for.
	sweepInterval = 200 * time.Millisecond
	// closeTime bounds the wait of Close for live readers.
	closeTime = 5 * time.Second
)

// Node is an open node: an http.Handler for what is below HTTP.BasePath.
type Node struct {
	api     *httpapi.Server
	cluster *cluster.Node
	machine *fsm.Machine
	disk    *disk
	joined  chan struct{} // closed once cluster is set
	stop    context.CancelFunc
	running sync.WaitGroup // the handler's own work

	closing  sync.Once
	closeErr error
}

// Open opens the directory and serves at once: requests wait, some tenths of a
// second, until the node leads.
func Open(cfg Config) (n *Node, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	d, err := openDisk(cfg)
	if err != nil {
		return nil, fmt.Errorf("open an embedded node: %w", err)
	}
	n = &Node{disk: d, joined: make(chan struct{})}
	if err := n.open(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("open an embedded node: %w", err), d.close())
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.running.Go(func() { _ = n.api.Run(ctx) }) // it ends with ctx
	return n, nil
}

func (n *Node) open(cfg Config) (err error) {
	n.machine, err = fsm.New(n.disk.engine, fsm.Config{Log: cfg.Log, Committed: n.committed})
	if err != nil {
		return err
	}
	n.cluster, err = cluster.Open(cluster.Config{
		NodeID: nodeID, AdvertisePeer: nobody.String(), BootstrapExpect: 1,
		HeartbeatTimeout: electionTime, ElectionTimeout: electionTime, LeaderLeaseTimeout: electionTime,
		RestoreOnStart: n.disk.behind, Log: cfg.Log, Metrics: cfg.Metrics, Lead: n.lead, Watched: n.machine.Watched,
	}, n.machine, n.disk.stores, island{}, cluster.Alone{})
	if err != nil {
		return err
	}
	close(n.joined)
	if n.api, err = httpapi.New(cfg.HTTP, n.cluster, n.cluster, n.machine, face{n.cluster}); err != nil {
		return errors.Join(err, n.cluster.Close())
	}
	return nil
}

// committed passes on what the machine has committed. While the cluster is being
// opened there is nobody to tell.
func (n *Node) committed(index, term uint64) {
	select {
	case <-n.joined:
		n.cluster.AppliedHook(index, term)
	default:
	}
}

// lead lets streams expire.
func (n *Node) lead(ctx context.Context) {
	select {
	case <-n.joined:
	case <-ctx.Done():
		return
	}
	n.machine.Sweep(ctx, sweepInterval, time.Now, func(ctx context.Context, c stream.Command) error {
		_, err := n.cluster.Submit(ctx, c)
		return err
	})
}

// ServeHTTP implements http.Handler. Paths are taken as they were sent, and names
// may hold what a cleaned path does not, as gid://app/Room/1 does: an
// http.ServeMux in front redirects those.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) { n.api.ServeHTTP(w, r) }

// Ready returns nil when the node serves reads and writes.
func (n *Node) Ready() error { return n.cluster.Ready() }

// Close ends live reads and closes the node. Call it when the http.Server has
// stopped taking requests, or let RegisterOnShutdown call it. It may be called
// again.
func (n *Node) Close() error {
	n.closing.Do(func() {
		n.api.Drain()
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		err := n.api.Close(ctx)
		n.stop()
		n.running.Wait()
		n.closeErr = errors.Join(err, n.cluster.Close(), n.disk.close())
	})
	return n.closeErr
}

// face is a cluster.Node as httpapi wants to see it.
type face struct{ node *cluster.Node }

var _ httpapi.Cluster = face{}

func (f face) Checks() []httpapi.Check {
	return []httpapi.Check{{Name: "node", Err: f.node.Ready()}}
}
func (f face) ClusterChecks() []httpapi.Check { return nil } // it has none
func (f face) Status(ctx context.Context) any { return f.node.Status(ctx) }

func (f face) LeaderContact() (at time.Time, ok bool) {
	at, _ = f.node.LeaderContact()
	return at, !at.IsZero()
}
