package recovery

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"mainstem/cluster"
	"mainstem/storage"
)

// Facts are what one data directory holds, as a plan needs them. They travel
// from machine to machine as JSON.
type Facts struct {
	Dir         string `json:"dir"`
	NodeID      string `json:"node_id"`
	ClusterID   string `json:"cluster_id"`
	DirectoryID string `json:"directory_id"`

	Term      uint64 `json:"term"`
	VotedTerm uint64 `json:"voted_term"`
	VotedFor  string `json:"voted_for,omitempty"`

	LogKind       string `json:"log_kind,omitempty"`
	FirstIndex    uint64 `json:"first_index"`
	LastIndex     uint64 `json:"last_index"`
	LastTerm      uint64 `json:"last_term"`
	SnapshotIndex uint64 `json:"snapshot_index"`
	SnapshotTerm  uint64 `json:"snapshot_term"`
	Applied       uint64 `json:"applied"`
	AppliedTerm   uint64 `json:"applied_term"`

	Members      []Member `json:"members"` // the last configuration known here
	MembersIndex uint64   `json:"members_index"`

	RemovedFrom  string            `json:"removed_from,omitempty"`
	SupersededBy string            `json:"superseded_by,omitempty"`
	Unfinished   string            `json:"unfinished,omitempty"` // the cluster id of a recovery that was begun
	Torn         string            `json:"torn,omitempty"`
	Damage       []storage.Finding `json:"damage,omitempty"`
}

// Member is one node in a configuration.
type Member struct {
	NodeID   string `json:"node_id"`
	PeerAddr string `json:"peer_addr"`
	Voter    bool   `json:"voter"`
}

// position orders logs: the later term goes first, then the later index.
type position struct{ Term, Index uint64 }

func (p position) less(q position) bool {
	return p.Term < q.Term || p.Term == q.Term && p.Index < q.Index
}

// end is the last entry that the node holds, in its log, its snapshot or its copy:
// the checkpoint of a snapshot may be ahead of the log.
func (f Facts) end() position {
	p := position{f.LastTerm, f.LastIndex}
	for _, q := range [...]position{{f.SnapshotTerm, f.SnapshotIndex}, {f.AppliedTerm, f.Applied}} {
		if q.Index > p.Index {
			p = position{max(p.Term, q.Term), q.Index}
		}
	}
	return p
}

// committed is an index up to which entries are known to have been committed.
func (f Facts) committed() uint64 { return max(f.Applied, f.SnapshotIndex) }

// Progress is told how much of a part of a directory has been read.
type Progress func(part string, done, total int64)

// Look reads a directory, which no process may use, and changes nothing in it.
func Look(dir storage.Dir, progress Progress) (Facts, error) {
	lock, err := storage.LockDirToRead(dir)
	if err != nil {
		return Facts{}, err
	}
	defer lock.Close() // nothing was written
	return look(dir, progress)
}

// look is for one who holds the lock.
func look(dir storage.Dir, progress Progress) (Facts, error) {
	found, err := storage.Inspect(dir, storage.InspectConfig{Progress: progress})
	if err != nil {
		return Facts{}, err
	}
	if found.Unfound && found.Recovery == nil && len(found.Damage) == 0 {
		return Facts{}, fmt.Errorf("%s holds no data of a node; name the directory that was given to --data-dir", dir)
	}
	return factsOf(dir, found), nil
}

func factsOf(dir storage.Dir, found storage.Inspection) Facts {
	f := Facts{
		Dir: string(dir), NodeID: found.Identity.NodeID, ClusterID: found.Identity.ClusterID, DirectoryID: found.Identity.DirectoryID,
		Term: number(found.Stable["CurrentTerm"]), VotedTerm: number(found.Stable["LastVoteTerm"]), VotedFor: string(found.Stable["LastVoteCand"]),
		LogKind: found.Log.Kind, FirstIndex: found.Log.First, LastIndex: found.Log.Last, LastTerm: found.Log.LastTerm,
		Applied: found.Copy.Applied, AppliedTerm: found.Copy.Term,
		RemovedFrom: string(found.Stable[cluster.RemovedKey]), SupersededBy: string(found.Stable[cluster.SupersededKey]),
		Torn: found.Torn, Damage: found.Damage,
	}
	if found.Recovery != nil {
		f.Unfinished = found.Recovery.Identity.ClusterID
	}
	if s := found.Snapshot; s != nil {
		f.SnapshotIndex, f.SnapshotTerm = s.Index, s.Term
		f.Members, f.MembersIndex = membersOf(s.Configuration), s.ConfigurationIndex
	}
	if l := found.Log; l.Configuration != nil && l.ConfigurationIndex > f.MembersIndex {
		f.Members, f.MembersIndex = membersOf(*l.Configuration), l.ConfigurationIndex
	}
	return f
}

func membersOf(c raft.Configuration) (members []Member) {
	for _, s := range c.Servers {
		members = append(members, Member{NodeID: string(s.ID), PeerAddr: string(s.Address), Voter: s.Suffrage == raft.Voter})
	}
	return members
}

func number(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// closing adds the error of a Close to another.
func closing(c io.Closer, err *error) {
	if e := c.Close(); e != nil && *err == nil {
		*err = e
	}
}
