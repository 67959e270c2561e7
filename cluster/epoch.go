package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A cluster that lost a majority of its nodes for ever, and was made anew of what
// survived, has the id of the old one, a number and a few random letters:
//
//	4f3c…e1            as it was founded
//	4f3c…e1.1-k3xq7a   after its first recovery
//
// Ids differ, so the two refuse each other like any two clusters. That they have
// a root in common tells which of them went on.
const epochMark = "."

// Recovered returns the id of a cluster that goes on after a recovery. letters
// keep two recoveries of one state apart.
func Recovered(clusterID, letters string) string {
	root, epoch := splitClusterID(clusterID)
	return fmt.Sprintf("%s%s%d-%s", root, epochMark, epoch+1, letters)
}

// Supersedes reports that a recovery, or several, made cluster newer of older.
func Supersedes(newer, older string) bool {
	if newer == "" || older == "" {
		return false
	}
	newRoot, newEpoch := splitClusterID(newer)
	oldRoot, oldEpoch := splitClusterID(older)
	return newRoot == oldRoot && newEpoch > oldEpoch
}

func splitClusterID(id string) (root string, epoch uint64) {
	root, tail, found := strings.Cut(id, epochMark)
	if !found {
		return id, 0
	}
	number, _, _ := strings.Cut(tail, "-")
	epoch, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return id, 0
	}
	return root, epoch
}

// SupersededKey holds, in the stable store, the id of the cluster that goes on
// without this node's data. A node whose stores say that does not start.
const SupersededKey = "mainstem-superseded-by-cluster"

func supersededError(own, newer string) error {
	return fmt.Errorf("cluster %s goes on as %s: it was recovered after the loss of a majority, without what this node holds; this node does not come back with its old data. To make it a member again run mainstem recover refill on its data directory, which keeps the old data aside, and start it with --join", own, newer)
}

// heardOf takes note of another node's cluster id. A node that hears that its
// cluster goes on without it stops for good, so that it can neither vote nor
// serve an old state. One that follows a leader stays: then it is not clear who
// was lost, and an operator has to look.
func (n *Node) heardOf(clusterID, from string) {
	own := n.clusterID()
	if !Supersedes(clusterID, own) || n.ctx.Err() != nil {
		return
	}
	if leader := n.leader.get().ID; leader != "" {
		if n.warnedOf(clusterID) {
			return
		}
		n.log.Error("a node says that this cluster was recovered without this node, which has a leader: there are two clusters now; stop the one that is not wanted",
			"from", from, "its_cluster", clusterID, "cluster", own, "leader", leader)
		return
	}
	// Nobody may be elected with its vote while it is on its way out.
	n.mute.Store(true)
	n.port.hangUpRaft()
	n.leaveForGood(SupersededKey, clusterID, supersededError(own, clusterID))
}

var errMute = errors.New("the cluster of this node went on without it; it takes no part in raft")

// warnedOf reports that a cluster was warned of before.
func (n *Node) warnedOf(clusterID string) bool {
	n.warned.Lock()
	defer n.warned.Unlock()
	if slices.Contains(n.warned.clusters, clusterID) {
		return true
	}
	n.warned.clusters = append(n.warned.clusters, clusterID)
	return false
}
