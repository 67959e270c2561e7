package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"mainstem/storage"
)

// runServe runs a node until ctx ends.
func runServe(ctx context.Context, cfg config, in invocation) error {
	if cfg.storage.inMemory() {
		cfg = cfg.forgetful()
	}
	return runNode(ctx, cfg, in, nil)
}

// runDev runs one node that needs no configuration and says what to try.
func runDev(ctx context.Context, cfg config, in invocation) (err error) {
	cfg.cluster.nodeID = "dev"
	cfg.cluster = cfg.cluster.alone()
	where := cfg.storage.dataDir
	switch {
	case cfg.storage.inMemory():
		cfg = cfg.forgetful()
		where = "memory, gone at exit"
	case where == "":
		cfg.storage.temporary = true
		where = "a temporary directory, removed at exit"
	}
	return runNode(ctx, cfg, in, func(bound net.Addr) {
		fmt.Fprint(in.stdout, greeting(cfg.tls.scheme()+"://"+reachable(bound)+cfg.http.basePath, where))
	})
}

// reachable is an address to type for a listener: one that listens everywhere
// is reached by loopback.
func reachable(bound net.Addr) string {
	host, port, err := net.SplitHostPort(bound.String())
	if err != nil {
		return bound.String()
	}
	if !dialable(host) {
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
func runNode(ctx context.Context, cfg config, in invocation, greet func(net.Addr)) (err error) {
	n := &node{cfg: cfg, recent: &recentLog{}, metrics: newRegistry()}
	n.log = newLogger(cfg.log, in.stderr, n.recent)
	defer func() { err = errors.Join(err, n.close()) }()
	if n.keys, err = newKeychain(cfg.tls, n.log, n.metrics); err != nil {
		return err
	}
	if err := n.openPeerTLS(); err != nil {
		return err
	}
	if err := n.openGossipKeys(); err != nil {
		return phaseLoad.in(err)
	}
	if n.gate, err = openGate(cfg, n.log); err != nil {
		return phaseLoad.in(err)
	}
	limitMemory(n.log)
	if err := n.startTracing(); err != nil {
		return phaseStart.in(err)
	}
	n.tellMode()
	for _, note := range cfg.notes {
		n.log.Warn("setting", "note", note)
	}
	if err := n.listen(); err != nil {
		return phaseBind.in(err)
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
		phase phase
		take  func() error
	}{
		{phaseOpen, n.openStorage},
		{phaseJoin, n.joinCluster},
		{phaseStart, n.letIn},
	} {
		if ctx.Err() != nil {
			return nil
		}
		n.door.progress.enter(step.phase)
		if err := step.take(); err != nil {
			return step.phase.in(advise(err, n.cfg.storage.dataDir))
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
	n.log.Info("ready", "node", n.cfg.cluster.nodeID, "clients", n.clients.Addr().String(), "version", buildVersion())
	if greet != nil {
		greet(n.clients.Addr())
	}
}

// chooseDataDir returns the data directory, or makes a temporary one that is
// removed when the node is closed.
func (n *node) chooseDataDir() (storage.Dir, error) {
	if !n.cfg.storage.temporary {
		return storage.Dir(n.cfg.storage.dataDir), nil // storage makes it, and syncs the directories above
	}
	dir, err := os.MkdirTemp("", "mainstem-dev-")
	if err != nil {
		return "", err
	}
	n.opened.push("temporary directory", func() error { return os.RemoveAll(dir) })
	return storage.Dir(dir), nil
}
