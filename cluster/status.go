package cluster

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hashicorp/raft"
)

// reachableIntervals is how many status intervals old a report may be for its
// node to count as reachable.
const reachableIntervals = 3

// report is what members tell each other of themselves.
type report struct {
	NodeID      string    `json:"node_id"`
	DirectoryID string    `json:"directory_id"`
	Version     string    `json:"version,omitempty"`
	Level       byte      `json:"level"`  // of what it understands in the log
	Agreed      byte      `json:"agreed"` // the highest level that all members had at one time
	HTTPAddr    string    `json:"http_addr,omitempty"`
	GossipAddr  string    `json:"gossip_addr,omitempty"`
	Clock       time.Time `json:"clock"`
	Applied     uint64    `json:"applied"`
	Tenure      bool      `json:"tenure,omitempty"` // leads, with its barrier passed
	Closing     bool      `json:"closing,omitempty"`
	Stored      uint64    `json:"stored,omitempty"`    // the end of its log
	Unwatched   bool      `json:"unwatched,omitempty"` // has no live readers
	Draining    bool      `json:"draining,omitempty"`  // wants to stop
	Promised    bool      `json:"promised,omitempty"`  // stays while the other is away
	Stays       bool      `json:"stays,omitempty"`     // the answer to Draining
	Stranger    bool      `json:"stranger,omitempty"`  // the answer to a node that was removed
	Disk        Disk      `json:"disk"`
	Full        []string  `json:"full,omitempty"`   // voters without disk space, as its sender knows
	Damage      string    `json:"damage,omitempty"` // what is wrong with its copy

	Keys *keyMark        `json:"keys,omitempty"` // of gossip; nil where it is not encrypted
	Note json.RawMessage `json:"note,omitempty"` // Config.Note
}

// leaving reports that a member is on its way out.
func (r report) leaving() bool { return r.Draining || r.Closing }

// sighting is the last report of a member.
type sighting struct {
	report
	at       time.Time // of this process's monotonic clock
	caughtUp time.Time // since when its lag has been small; zero when it is not
}

// Status describes the cluster as this node sees it.
type Status struct {
	NodeID           string   `json:"node_id"`
	ClusterID        string   `json:"cluster_id"`
	Leader           string   `json:"leader"` // "" when none is known
	Term             uint64   `json:"term"`
	CommitIndex      uint64   `json:"commit_index"`
	AppliedIndex     uint64   `json:"applied_index"`
	LastIndex        uint64   `json:"last_index"`
	FailureTolerance int      `json:"failure_tolerance"`
	OutOfSpace       []string `json:"out_of_space"` // voters for whose full disks no data is taken
	Members          []Member `json:"members"`
}

// Member is one node in the log's configuration.
type Member struct {
	NodeID    string `json:"node_id"`
	PeerAddr  string `json:"peer_addr"`
	HTTPAddr  string `json:"http_addr"`
	Version   string `json:"version"`
	Level     byte   `json:"level"` // of what it understands in the log; 0 while nothing is known
	Voter     bool   `json:"voter"`
	Leader    bool   `json:"leader"`
	Reachable bool   `json:"reachable"` // from this node
	Applied   uint64 `json:"applied"`
	Lag       uint64 `json:"lag"` // behind the most advanced member
	Disk      Disk   `json:"disk"`
	Damage    string `json:"damage,omitempty"` // what is wrong with its copy, which is not read

	Note json.RawMessage `json:"-"` // of its Config.Note; none of this node's own
}

// Status describes the cluster. It asks nobody: members report to each other
// every StatusInterval.
func (n *Node) Status(context.Context) Status {
	leader := n.leader.get()
	st := Status{
		NodeID:       n.cfg.NodeID,
		ClusterID:    n.clusterID(),
		Leader:       leader.ID,
		AppliedIndex: n.machine.Applied(),
		OutOfSpace:   append([]string{}, n.space.names()...),
		Members:      []Member{},
	}
	s := n.seat.Load()
	if s == nil {
		return st
	}
	st.Term, st.CommitIndex, st.LastIndex = s.raft.CurrentTerm(), s.raft.CommitIndex(), s.raft.LastIndex()
	servers, _ := s.servers()
	head := st.AppliedIndex
	for _, server := range servers {
		m := n.member(server)
		m.Leader = m.NodeID == leader.ID
		head = max(head, m.Applied)
		st.Members = append(st.Members, m)
	}
	for i := range st.Members {
		st.Members[i].Lag = head - st.Members[i].Applied
	}
	st.FailureTolerance = failureTolerance(st.Members)
	return st
}

func (n *Node) member(server raft.Server) Member {
	m := Member{NodeID: string(server.ID), PeerAddr: string(server.Address), Voter: server.Suffrage == raft.Voter}
	if m.NodeID == n.cfg.NodeID {
		m.HTTPAddr, m.Version, m.Reachable, m.Applied = n.cfg.AdvertiseHTTP, n.cfg.Version, true, n.machine.Applied()
		m.Level, m.Disk = n.cfg.Level, n.disk()
		m.Damage = n.cfg.Health.Damage()
		return m
	}
	if r, ok := n.members.get(m.NodeID); ok {
		m.HTTPAddr, m.Version, m.Applied = r.HTTPAddr, r.Version, r.Applied
		m.Level, m.Disk = r.Level, r.Disk
		m.Damage, m.Note = r.Damage, r.Note
		m.Reachable = n.members.fresh(r)
	}
	return m
}

// failureTolerance is how many of the reachable voters may fail before writes
// stop.
func failureTolerance(members []Member) int {
	voters, reachable := 0, 0
	for _, m := range members {
		if m.Voter {
			voters++
			if m.Reachable {
				reachable++
			}
		}
	}
	return max(0, reachable-(voters/2+1))
}

// Leader returns who leads and since when this node knows it.
func (n *Node) Leader() (id string, since time.Time, known bool) {
	r := n.leader.get()
	return r.ID, r.Since, r.ID != ""
}

// LeaderContact returns when, by the node's clock, this node last heard of a
// leader, and whether one is known now. The zero time means never.
func (n *Node) LeaderContact() (last time.Time, known bool) {
	s := n.seat.Load()
	if s == nil {
		return time.Time{}, false
	}
	_, _, known = n.Leader()
	if _, leads := s.leads(); leads {
		return n.cfg.Now(), known
	}
	contact := s.raft.LastContact()
	if contact.IsZero() {
		return time.Time{}, known
	}
	return n.cfg.Now().Add(-time.Since(contact)), known
}

// ownReport is what this node says of itself.
func (n *Node) ownReport() report {
	r := report{
		NodeID:      n.cfg.NodeID,
		DirectoryID: n.directoryID(),
		Version:     n.cfg.Version,
		Level:       n.cfg.Level,
		Agreed:      byte(n.levels.agreed.Load()),
		HTTPAddr:    n.cfg.AdvertiseHTTP,
		GossipAddr:  n.disco.GossipAddr(),
		Clock:       n.cfg.Now(),
		Applied:     n.machine.Applied(),
		Closing:     n.proposer.shutting(),
		Draining:    n.departure.begun(),
		Unwatched:   !n.cfg.Watched(),
		Disk:        n.disk(),
		Full:        n.space.names(),
		Damage:      n.cfg.Health.Damage(),
		Keys:        n.keyMark(),
		Note:        n.cfg.Note(),
	}
	if s := n.seat.Load(); s != nil {
		_, r.Tenure = n.inTenure(s)
		r.Stored = s.raft.LastIndex()
	}
	return r
}
