package cluster

// Alone is the Discovery of a node that looks for nobody and tells nobody that it
// is there.
type Alone struct{}

var _ Discovery = Alone{}

// Start implements Discovery, as do the others.
func (Alone) Start(Peer, []string) error { return nil }
func (Alone) Publish(Peer) error         { return nil }
func (Alone) Seed([]string)              {}
func (Alone) Peers() []Peer              { return nil }
func (Alone) Changed() <-chan struct{}   { return nil } // never: there is nobody
func (Alone) GossipAddr() string         { return "" }
func (Alone) Self(string) bool           { return false }
func (Alone) Close() error               { return nil }
