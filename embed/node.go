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
	"mainstem/wiring"
)

const (
	// nodeID is the name that an embedded node has in its directory.
	nodeID = "embedded"
	// electionTime is short: nobody else stands.
	electionTime = 50 * time.Millisecond
	// closeTime bounds the wait of Close for live readers.
	closeTime = 5 * time.Second
)

// Node is an open node: an http.Handler for what is below HTTP.BasePath.
type Node struct {
	api     *httpapi.Server
	cluster *cluster.Node
	machine *fsm.Machine
	disk    *disk
	joined  *wiring.Latch // of cluster, for those whom it calls while it opens
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
	n = &Node{disk: d, joined: wiring.NewLatch()}
	if err := n.open(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("open an embedded node: %w", err), d.close())
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.running.Go(func() { _ = n.api.Run(ctx) }) // it ends with ctx
	return n, nil
}

func (n *Node) open(cfg Config) (err error) {
	n.machine, err = fsm.New(n.disk.engine, fsm.Config{Log: cfg.Log, Committed: n.joined.Committed})
	if err != nil {
		return err
	}
	n.cluster, err = cluster.Open(cluster.Config{
		NodeID: nodeID, AdvertisePeer: nobody.String(), BootstrapExpect: 1,
		HeartbeatTimeout: electionTime, ElectionTimeout: electionTime, LeaderLeaseTimeout: electionTime,
		RestoreOnStart: n.disk.behind, Log: cfg.Log, Metrics: cfg.Metrics, Lead: n.joined.Leading(n.lead), Watched: n.machine.Watched,
	}, n.machine, n.disk.stores, island{}, cluster.Alone{})
	if err != nil {
		return err
	}
	n.joined.Open(n.cluster)
	if n.api, err = httpapi.New(cfg.HTTP, n.cluster, n.cluster, n.machine, face{wiring.Face{Node: n.cluster}}); err != nil {
		return errors.Join(err, n.cluster.Close())
	}
	return nil
}

// lead lets streams expire.
func (n *Node) lead(ctx context.Context) {
	n.machine.Sweep(ctx, wiring.SweepInterval, time.Now, n.joined.Propose)
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

// face is a cluster of one: what httpapi asks of the loss of others has no answer.
type face struct{ wiring.Face }

func (f face) Checks() []httpapi.Check {
	return []httpapi.Check{{Name: "node", Err: f.Node.Ready()}}
}
func (f face) ClusterChecks() []httpapi.Check { return nil } // it has none
