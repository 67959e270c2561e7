package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// Identity is the tiny durable record of who a data directory belongs to.
type Identity struct {
	NodeID      string
	ClusterID   string // "" until admitted
	DirectoryID string // random; tells a wiped directory from the one it replaced
}

// IdentityStore keeps an Identity. Save is atomic and durable when it returns.
type IdentityStore interface {
	Load() (Identity, error) // the zero Identity when there is none
	Save(Identity) error
}

// foundingKey holds, in the stable store, the id of the cluster that this node
// is about to found: it survives a crash between founding and Identity.Save.
const foundingKey = "mainstem-founding-cluster"

// raft's own key; it must be 0 for a directory to count as fresh.
const currentTermKey = "CurrentTerm"

// loadIdentity reads the identity, or makes one for a fresh data directory, and
// reports whether raft has state here.
func loadIdentity(nodeID string, s Stores) (id Identity, hasState bool, err error) {
	id, err = s.Identity.Load()
	if err != nil {
		return id, false, fmt.Errorf("load node identity: %w", err)
	}
	if id.NodeID != "" && id.NodeID != nodeID {
		return id, false, fmt.Errorf("the data directory belongs to node %q; start it with that node id, or give node %q a directory of its own", id.NodeID, nodeID)
	}
	if from, err := s.Stable.Get([]byte(RemovedKey)); err == nil && len(from) > 0 {
		return id, false, removedError(string(from))
	}
	if by, err := s.Stable.Get([]byte(SupersededKey)); err == nil && len(by) > 0 {
		return id, false, supersededError(id.ClusterID, string(by))
	}
	hasState, err = hasRaftState(s)
	if err != nil {
		return id, false, err
	}
	changed := false
	if hasState && id.ClusterID == "" {
		founding, err := s.Stable.Get([]byte(foundingKey))
		if err != nil || len(founding) == 0 {
			return id, false, errors.New("the data directory holds a raft log but no cluster id; restore its node identity, or run mainstem recover refill on the directory to join again")
		}
		id.ClusterID, changed = string(founding), true
	}
	if id.NodeID == "" || id.DirectoryID == "" {
		id.NodeID, id.DirectoryID, changed = nodeID, randomID(), true
	}
	if changed {
		if err := s.Identity.Save(id); err != nil {
			return id, false, fmt.Errorf("save node identity: %w", err)
		}
	}
	return id, hasState, nil
}

// hasRaftState reports whether this node ever took part in a log. A term alone
// does not count: raft is only started once the cluster id is durable, so a
// term without an entry was left by a crash in the midst of founding.
func hasRaftState(s Stores) (bool, error) {
	last, err := s.Log.LastIndex()
	if err != nil {
		return false, fmt.Errorf("read the end of the raft log: %w", err)
	}
	snapshots, err := s.Snapshots.List()
	if err != nil {
		return false, fmt.Errorf("list snapshots: %w", err)
	}
	var entry raft.Log
	switch {
	case last > 0:
		if err := s.Log.GetLog(last, &entry); err != nil {
			return false, fmt.Errorf("read raft log entry %d: %w", last, err)
		}
	case len(snapshots) > 0: // all of the log is in the snapshot
		entry.Term = snapshots[0].Term
	default:
		return false, nil
	}
	if err := checkContinuous(s.Log, snapshots); err != nil {
		return false, err
	}
	// The term is stored before any entry of it. Without it this node could
	// vote twice in one term.
	if term := currentTerm(s.Stable); term < entry.Term {
		return false, fmt.Errorf("the raft stable store knows term %d but the log ends in term %d: the stable store was lost, and the node's vote with it; run mainstem recover refill on its data directory and start it with --join, so that it is refilled", term, entry.Term)
	}
	return true, nil
}

// checkContinuous: a log is only cut off behind a snapshot. Without it the
// configuration may be missing, and raft would go on with none.
func checkContinuous(log raft.LogStore, snapshots []*raft.SnapshotMeta) error {
	first, err := log.FirstIndex()
	if err != nil {
		return fmt.Errorf("read the start of the raft log: %w", err)
	}
	var covered uint64
	if len(snapshots) > 0 {
		covered = snapshots[0].Index
	}
	if first > covered+1 {
		return fmt.Errorf("the raft log begins at entry %d and the newest snapshot ends at %d: a snapshot was lost; run mainstem recover refill on this node's data directory and start it with --join, so that it is refilled", first, covered)
	}
	return nil
}

// currentTerm is 0 when the store has none: stores differ in the error they
// give for an absent key.
func currentTerm(s raft.StableStore) uint64 {
	term, err := s.GetUint64([]byte(currentTermKey))
	if err != nil {
		return 0
	}
	return term
}

func randomID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
