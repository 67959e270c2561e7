package sim

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
	"mainstem/fsm"
	"mainstem/httpapi"
	"mainstem/scrub"
	"mainstem/storage"
	"mainstem/wiring"
)

// Node is one process: the product's parts, wired as its command wires them.
type Node struct {
	ID      string
	Clock   *Clock
	Cluster *cluster.Node
	Machine *fsm.Machine
	Engine  *storage.Engine
	Health  *scrub.Quarantine
	Metrics *prometheus.Registry

	scrub *scrub.Scrubber
	api   *httpapi.Server
	host  *host
	disco *clustertest.Discovery
	disk  *opened

	alive    context.Context // ends when the process dies
	die      context.CancelFunc
	requests sync.WaitGroup
	renewing sync.WaitGroup
	stop     context.CancelFunc // of renewing
	mu       sync.Mutex         // guards shut
	shut     bool               // no request is let in
}

// parts is what a node is made from.
type parts struct {
	id      string
	clock   *Clock
	host    *host
	disco   *clustertest.Discovery
	disk    *opened
	opts    *Options
	members []string

	restored *atomic.Int64 // counts copies that were replaced by a snapshot
}

// openNode starts a node over an open disk, which it closes with itself.
func openNode(p parts) (*Node, error) {
	n := &Node{ID: p.id, Clock: p.clock, Engine: p.disk.engine, host: p.host, disco: p.disco, disk: p.disk,
		Health: p.disk.health, Metrics: prometheus.NewRegistry()}
	n.alive, n.die = context.WithCancel(context.Background())
	joined := wiring.NewLatch()
	if err := n.newScrubber(p); err != nil {
		return nil, err
	}
	var err error
	n.Machine, err = fsm.New(p.disk.engine, fsm.Config{Log: p.opts.Log, Marked: n.scrub.Marked, Damaged: n.Health.Found, Committed: joined.Committed})
	if err != nil {
		return nil, err
	}
	cfg := cluster.Config{
		NodeID: p.id, AdvertisePeer: clustertest.Addr(p.id), AdvertiseHTTP: p.id + ":4437", Version: "sim",
		Join: p.members, BootstrapExpect: len(p.members), RestoreOnStart: p.disk.behind,
		Now: p.clock.Now, Log: p.opts.Log, Watched: n.Machine.Watched, Health: n.Health, Note: n.scrub.Note,
		Lead: joined.Leading(func(ctx context.Context) {
			var leading sync.WaitGroup
			leading.Go(func() { n.Machine.Sweep(ctx, wiring.SweepInterval, p.clock.Now, joined.Propose) })
			leading.Go(func() { n.scrub.Lead(ctx, joined.Members, joined.Propose) })
			leading.Wait()
		}),
	}
	if p.opts.Cluster != nil {
		p.opts.Cluster(&cfg)
	}
	var m cluster.Machine = watched{n.Machine, p.restored}
	if p.opts.Machine != nil {
		m = p.opts.Machine(n, m)
	}
	n.Cluster, err = cluster.Open(cfg, m, p.disk.stores, p.host, p.disco)
	if err != nil {
		return nil, err
	}
	joined.Open(n.Cluster)
	if err := n.serve(p.opts, joined); err != nil {
		return nil, errors.Join(err, n.Cluster.Close())
	}
	return n, nil
}

func (n *Node) serve(opts *Options, joined *wiring.Latch) (err error) {
	cfg := httpapi.Config{Now: n.Clock.Now, Damaged: n.Health.Damaged(), Log: opts.Log}
	if opts.HTTP != nil {
		opts.HTTP(&cfg)
	}
	var w httpapi.Writer = n.Cluster
	var f httpapi.Fencer = n.Cluster
	var r httpapi.Reader = n.Machine
	if opts.Writer != nil {
		w = opts.Writer(n, w)
	}
	if opts.Fencer != nil {
		f = opts.Fencer(n, f)
	}
	if opts.Reader != nil {
		r = opts.Reader(n, r)
	}
	if n.api, err = httpapi.New(cfg, w, f, r, wiring.Face{Node: n.Cluster}); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	n.renewing.Go(func() { _ = n.api.Run(ctx) })
	n.renewing.Go(func() { _ = n.scrub.Run(ctx, joined.Members) })
	return nil
}

// crash ends the process without a word to anybody and returns once its disk is
// free.
func (n *Node) crash() error {
	n.shutDoor()
	n.die()
	n.host.kill()
	_ = n.disco.Close()
	n.requests.Wait()
	return n.close()
}

// The limits of a good end, as in the product.
const (
	gateTime    = 18 * time.Second
	requestTime = 6 * time.Second
	drainSpread = 2 * time.Second
)

// terminate ends the process as SIGTERM does.
func (n *Node) terminate() error {
	n.api.Unlist()
	gate, cancel := context.WithTimeout(context.Background(), gateTime)
	defer cancel()
	if others := n.Cluster.Drain(gate); others {
		n.api.DrainWithin(drainSpread)
		time.Sleep(drainSpread)
	} else {
		n.api.Drain()
	}
	n.shutDoor()
	late := time.AfterFunc(requestTime, n.die)
	n.requests.Wait()
	late.Stop()
	defer n.die()
	return n.close()
}

func (n *Node) close() error {
	err := n.Cluster.Close()
	n.stop()
	n.renewing.Wait()
	return errors.Join(err, n.scrub.Close(), n.disk.close())
}

func (n *Node) shutDoor() {
	n.mu.Lock()
	n.shut = true
	n.mu.Unlock()
}

// enter counts a request; it is refused when the process takes none.
func (n *Node) enter() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shut {
		return false
	}
	n.requests.Add(1)
	return true
}

// watched counts what is restored.
type watched struct {
	cluster.Machine
	restored *atomic.Int64
}

// Restore implements raft.FSM.
func (w watched) Restore(source io.ReadCloser) error {
	w.restored.Add(1)
	return w.Machine.Restore(source)
}

// discard is the log of nodes that nobody listens to.
func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
