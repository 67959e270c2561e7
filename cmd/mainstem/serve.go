package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"mainstem/phase"
	"mainstem/settings"
	"mainstem/storage"
)

// runServe runs a node until ctx ends.
func runServe(ctx context.Context, cfg settings.Config, logTo io.Writer) error {
	if cfg.Storage.InMemory() {
		cfg = cfg.Forgetful()
	}
	return runNode(ctx, cfg, logTo, nil)
}

// runDev runs one node that needs no configuration and says what to try.
func runDev(ctx context.Context, cfg settings.Config, out, logTo io.Writer) (err error) {
	cfg.Cluster.NodeID = "dev"
	cfg.Cluster = cfg.Cluster.Alone()
	where := cfg.Storage.DataDir
	switch {
	case cfg.Storage.InMemory():
		cfg = cfg.Forgetful()
		where = "memory, gone at exit"
	case where == "":
		cfg.Storage.Temporary = true
		where = "a temporary directory, removed at exit"
	}
	return runNode(ctx, cfg, logTo, func(bound net.Addr) {
		fmt.Fprint(out, greeting(cfg.TLS.Scheme()+"://"+reachable(bound)+cfg.HTTP.BasePath, where))
	})
}

// reachable is an address to type for a listener: one that listens everywhere
// is reached by loopback.
func reachable(bound net.Addr) string {
	host, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return bound.String()
	}
	if !settings.Dialable(host) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func greeting(base, where string) string {
	return fmt.Sprintf(`Mainstem %s is running. Data: %s. Ctrl-C stops it.

  %s

Create a stream, append to it, read it (with &live=sse: follow it):

  curl -i -X PUT -H 'Content-Type: application/json' %[3]s/hello
  curl -i -X POST -H 'Content-Type: application/json' -d '{"text":"hello"}' %[3]s/hello
  curl -i '%[3]s/hello?offset=-1'

`, buildVersion(), where, base)
}

// runNode opens a node step by step, serves until ctx ends or something breaks,
// and closes it in reverse. greet is told when the node is ready.
//
//	clients ──▶ frontDoor ──▶ httpapi ──Submit, Fence──▶ cluster ──raft──▶ fsm ──▶ storage
//	                             └────────Info, Read, Wait────────────────▲
func runNode(ctx context.Context, cfg settings.Config, logTo io.Writer, greet func(net.Addr)) (err error) {
	n := &node{cfg: cfg, recent: &recentLog{}, metrics: newRegistry()}
	n.log = newLogger(cfg.Log, logTo, n.recent)
	defer func() { err = errors.Join(err, n.close()) }()
	if n.keys, err = newKeychain(cfg.TLS, n.log, n.metrics); err != nil {
		return err
	}
	if err := n.openPeerTLS(); err != nil {
		return err
	}
	if err := n.openGossipKeys(); err != nil {
		return phase.Load.In(err)
	}
	if n.gate, err = openGate(cfg, n.log); err != nil {
		return phase.Load.In(err)
	}
	limitMemory(n.log)
	defer relaxCollector()()
	if err := n.startTracing(); err != nil {
		return phase.Start.In(err)
	}
	n.tellMode()
	for _, note := range cfg.Notes {
		n.log.Warn("setting", "note", note)
	}
	if err := n.listen(); err != nil {
		return phase.Bind.In(err)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	serving, ctx := errgroup.WithContext(ctx)
	serving.Go(func() error { return n.serveClients() })
	if n.keys != nil {
		serving.Go(func() error { n.keys.run(ctx); return nil })
	}
	if n.peerTLS != nil {
		serving.Go(func() error { n.peerTLS.Run(ctx); return nil })
	}
	if n.gossip != nil {
		serving.Go(func() error { n.gossip.files.Run(ctx); return nil })
	}
	serving.Go(func() error { return n.gate.Run(ctx) })
	serving.Go(func() error { return n.serveAdmin() })
	err = n.start(ctx)
	if err == nil {
		serving.Go(func() error { return n.api.Run(ctx) })
		serving.Go(func() error { return n.scrub.Run(ctx, n.joined.Members) })
		n.whenReady(ctx, greet)
		select {
		case <-ctx.Done():
		case <-n.cluster.Removed():
		}
	}
	n.stop()
	n.dismissAdmin()
	end()
	return errors.Join(err, serving.Wait())
}

// start takes the steps after listening. A signal in between ends it early.
func (n *node) start(ctx context.Context) error {
	for _, step := range []struct {
		phase phase.Phase
		take  func() error
	}{
		{phase.Open, n.openStorage},
		{phase.Join, n.joinCluster},
		{phase.Start, n.letIn},
	} {
		if ctx.Err() != nil {
			return nil
		}
		n.door.progress.enter(step.phase)
		if err := step.take(); err != nil {
			return step.phase.In(advise(err, n.cfg.Storage.DataDir))
		}
	}
	return nil
}

// advise adds to an error of damaged data what can be done: no node may guess.
func advise(err error, dir string) error {
	if !errors.Is(err, storage.ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w; if the other nodes of the cluster have a quorum, run mainstem recover refill --data-dir %s and start this node again with --join: its old data is kept aside, it returns without a vote, is refilled, and votes then", err, dir)
}

// whenReady tells greet, and the log, once the node serves.
func (n *node) whenReady(ctx context.Context, greet func(net.Addr)) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n.cluster.Ready() != nil {
		select {
		case <-ctx.Done():
			return
		case <-n.cluster.Removed():
			return
		case <-tick.C:
		}
	}
	n.log.Info("ready", "node", n.cfg.Cluster.NodeID, "clients", n.clients.Addr().String(), "version", buildVersion())
	if greet != nil {
		greet(n.clients.Addr())
	}
}

// chooseDataDir returns the data directory, or makes a temporary one that is
// removed when the node is closed.
func (n *node) chooseDataDir() (storage.Dir, error) {
	if !n.cfg.Storage.Temporary {
		return storage.Dir(n.cfg.Storage.DataDir), nil // storage makes it, and syncs the directories above
	}
	dir, err := os.MkdirTemp("", "mainstem-dev-")
	if err != nil {
		return "", err
	}
	n.opened.push("temporary directory", func() error { return os.RemoveAll(dir) })
	return storage.Dir(dir), nil
}
