package main

import (
	"net"

	"mainstem/cluster"
)

// alone is the discovery of a node that looks for nobody and tells nobody that
// it is there: mainstem dev needs no gossip port.
type alone struct{}

var _ cluster.Discovery = alone{}

func (alone) Start(cluster.Peer, []string) error { return nil }
func (alone) Publish(cluster.Peer) error         { return nil }
func (alone) Seed([]string)                      {}
func (alone) Peers() []cluster.Peer              { return nil }
func (alone) Changed() <-chan struct{}           { return nil } // never: there is nobody
func (alone) GossipAddr() string                 { return "" }
func (alone) Self(string) bool                   { return false }
func (alone) Close() error                       { return nil }

// taken is the TCP network over a peer port that is already open, so that a
// port in use is found before anything is created.
type taken struct {
	cluster.TCP
	listener net.Listener
}

func (t taken) Listen() (net.Listener, error) { return t.listener, nil }
