package cluster

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// raftTimeout bounds one raft request; a snapshot gets it per 256 KiB.
	raftTimeout = 5 * time.Second
	raftPoolMax = 3
	// fillSnapshots is how many SnapshotBytes of log are kept for a member that
	// is being sent a snapshot: at the default a log that grows by 20 MiB a
	// second may do so for three minutes.
	fillSnapshots = 8
)

// seat is this node's part in raft. It exists once the node is admitted: until
// then the node answers no raft request, so that an empty directory cannot vote.
type seat struct {
	raft      *raft.Raft
	transport *transport
	log       *typedLog
	single    atomic.Bool // nobody else votes, as of the last look: raft makes a copy of its configuration for each
}

// beginLog writes the configuration that a new cluster's log begins with. What
// cluster it is goes first, for a crash before the identity is saved.
func (n *Node) beginLog(clusterID string, founders []raft.Server) error {
	st := n.stores
	if begun, err := hasRaftState(st); err != nil || begun {
		return errors.Join(errors.New("the log of a cluster has begun here already; start this node again"), err)
	}
	if err := st.Stable.Set([]byte(foundingKey), []byte(clusterID)); err != nil {
		return fmt.Errorf("record the cluster to found: %w", err)
	}
	if currentTerm(st.Stable) != 0 { // left by a crash in the midst of this
		if err := st.Stable.SetUint64([]byte(currentTermKey), 0); err != nil {
			return fmt.Errorf("reset the raft term: %w", err)
		}
	}
	rc := raft.DefaultConfig()
	n.cfg.applyTo(rc)
	err := raft.BootstrapCluster(rc, st.Log, st.Stable, st.Snapshots, nil, raft.Configuration{Servers: founders})
	if err != nil {
		return fmt.Errorf("begin the log of a new cluster: %w", err)
	}
	return nil
}

// openSeat starts raft.
func (n *Node) openSeat() (*seat, error) {
	layer := &streamLayer{
		incoming: n.port.raft,
		dial:     n.dialPeer,
		idOf:     n.book.idOf,
		addr:     peerAddr(n.cfg.AdvertisePeer),
		done:     make(chan struct{}),
		out:      map[net.Conn]struct{}{},
	}
	logger := newRaftLogger(n.log)
	if err := n.dropOutlived(); err != nil {
		return nil, err
	}
	disk := newWatchedLog(n.stores.Log, hungElections*n.cfg.ElectionTimeout, n.log)
	log := newTypedLog(disk)
	fills := newFills(log, fillSnapshots*n.cfg.SnapshotBytes, n.storedBy)
	cache := newLogCache(fillingLog{log, fills, n.stores.Snapshots}, raftCacheBytes)
	ahead := &ahead{LogStore: cache, commit: n.commitIndex}
	rc := raft.DefaultConfig()
	n.cfg.applyTo(rc)
	rc.Logger = logger
	settled := raft.ReloadableConfig{
		TrailingLogs: rc.TrailingLogs, SnapshotInterval: rc.SnapshotInterval, SnapshotThreshold: rc.SnapshotThreshold,
		HeartbeatTimeout: rc.HeartbeatTimeout, ElectionTimeout: rc.ElectionTimeout,
	}
	rc.HeartbeatTimeout += time.Millisecond
	rc.ElectionTimeout += time.Millisecond

	transport := &transport{leads: n.leadsMember, last: n.lastIndex, ahead: ahead, done: layer.done, fills: fills, disk: disk, mute: n.mute.Load, transferMax: n.cfg.ElectionTimeout}
	transport.NetworkTransport = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:                layer,
		ServerAddressProvider: n.book,
		MaxPool:               raftPoolMax,
		Timeout:               raftTimeout,
		Logger:                logger,
	})
	r, err := raft.NewRaft(rc, n.timedMachine(), ahead, n.stores.Stable, watchedSnapshots{n.stores.Snapshots, n.port.hangUpRaft, n.cfg.Health}, transport)
	if err != nil {
		transport.Close()
		return nil, fmt.Errorf("start raft: %w", err)
	}
	s := &seat{raft: r, transport: transport, log: log}
	s.single.Store(s.alone(n.cfg.NodeID))
	if s.single.Load() {
		// A shorter heartbeat timeout than before makes raft look at once
		// whether there is a leader: a single node need not wait for one.
		if err := r.ReloadConfig(settled); err != nil {
			return nil, errors.Join(fmt.Errorf("settle raft's timeouts: %w", err), s.close(func() {}))
		}
	}
	return s, nil
}

// dropOutlived empties a log that ends before the newest snapshot. Raft does so
// at the end of installing one and never at a start: a crash in between would
// leave a log that takes no next entry, at every start again.
func (n *Node) dropOutlived() error {
	log := n.stores.Log
	if m, ok := log.(raft.MonotonicLogStore); !ok || !m.IsMonotonic() {
		return nil // such a store takes entries after a gap
	}
	snapshots, err := n.stores.Snapshots.List()
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	first, err := log.FirstIndex()
	if err != nil {
		return fmt.Errorf("look at the raft log: %w", err)
	}
	last, err := log.LastIndex()
	if err != nil {
		return fmt.Errorf("look at the raft log: %w", err)
	}
	if len(snapshots) == 0 || last == 0 || last >= snapshots[0].Index {
		return nil
	}
	n.log.Info("the newest snapshot covers the whole raft log; it begins anew after it", "snapshot", snapshots[0].Index, "log_end", last)
	if err := log.DeleteRange(first, last); err != nil {
		return fmt.Errorf("drop raft log entries %d to %d, which snapshot %s covers: %w", first, last, snapshots[0].ID, err)
	}
	return nil
}

// alone reports that nobody else votes.
func (s *seat) alone(id string) bool {
	servers, _ := s.servers()
	for _, server := range servers {
		if server.Suffrage == raft.Voter && string(server.ID) != id {
			return false
		}
	}
	return hasServer(servers, id)
}

// close stops raft. The futures of what was proposed must have been waited for.
// hangUp ends the incoming connections.
func (s *seat) close(hangUp func()) error {
	stopping := s.raft.Shutdown()
	s.transport.Close() // or raft would wait for peers that do not answer ...
	hangUp()            // ... or for a snapshot that does not arrive
	err := stopping.Error()
	s.transport.CloseStreams()
	s.transport.calls.Wait()
	if err != nil {
		return fmt.Errorf("stop raft: %w", err)
	}
	return nil
}

// leads returns the term that this node leads. The term only grows, and a node
// leaves the leader's state before its term changes, so an equal term on both
// sides of the state is the one it leads.
func (s *seat) leads() (term uint64, yes bool) {
	before := s.raft.CurrentTerm()
	if s.raft.State() != raft.Leader {
		return 0, false
	}
	return before, s.raft.CurrentTerm() == before
}

// leadsMember reports that this node leads term and that id is a member.
func (n *Node) leadsMember(id raft.ServerID, term uint64) bool {
	s := n.seat.Load()
	if s == nil {
		return false
	}
	led, ok := s.leads()
	servers, _ := s.servers()
	return ok && led == term && hasServer(servers, string(id))
}

// lastIndex is that of this node's log, 0 before admission.
func (n *Node) lastIndex() uint64 {
	if s := n.seat.Load(); s != nil {
		return s.raft.LastIndex()
	}
	return 0
}

// commitIndex is that of this node, 0 before admission.
func (n *Node) commitIndex() uint64 {
	if s := n.seat.Load(); s != nil {
		return s.raft.CommitIndex()
	}
	return 0
}

// servers is raft's latest configuration, committed or not.
func (s *seat) servers() ([]raft.Server, uint64) {
	f := s.raft.GetConfiguration()
	if f.Error() != nil {
		return nil, 0
	}
	return f.Configuration().Servers, f.Index()
}
