package cluster

import (
	"context"
	"fmt"
	"time"
)

// RemovedKey holds, in the stable store, the cluster that this node was removed
// from. A node whose stores say that does not start: its old data must not come
// back by itself.
const RemovedKey = "mainstem-removed-from-cluster"

// dismissTimeout bounds the message to a node that was removed. It hears of it
// anyway when it next reports to the leader.
const dismissTimeout = time.Second

// removedError says what to do with the directory of a removed node.
func removedError(cluster string) error {
	return fmt.Errorf("this node was removed from cluster %s and does not come back with its old data; to make it a member again, empty its data directory and start it with --join", cluster)
}

// Removed is closed when this node learns that it was removed from its cluster.
func (n *Node) Removed() <-chan struct{} { return n.removed }

func (n *Node) wasRemoved() bool {
	select {
	case <-n.removed:
		return true
	default:
		return false
	}
}

// dismissal tells a node that it was removed.
type dismissal struct {
	ClusterID string `json:"cluster_id"`
	NodeID    string `json:"node_id"`
}

// dismiss tells a node that it was removed, if it is there.
func (n *Node) dismiss(ctx context.Context, id, addr string) {
	ctx, cancel := context.WithTimeout(ctx, dismissTimeout)
	defer cancel()
	q := dismissal{ClusterID: n.clusterID(), NodeID: id}
	_, err := callJSON[struct{}](q, func(body []byte) (frame, error) {
		return n.pool.call(ctx, id, addr, laneSmall, methodDismiss, body)
	})
	if err != nil {
		n.log.Info("the removed node was not told; it will be when it reports", "node", id, "err", err)
	}
}

func (n *Node) serveDismiss(q dismissal) (struct{}, error) {
	if q.ClusterID != n.clusterID() || q.NodeID != n.cfg.NodeID {
		return struct{}{}, &refusal{fmt.Sprintf("this is node %q of cluster %s", n.cfg.NodeID, n.clusterID())}
	}
	n.leaveRemoved()
	return struct{}{}, nil
}

// leaveRemoved is for a node that hears of its removal.
func (n *Node) leaveRemoved() {
	n.leaveForGood(RemovedKey, n.clusterID(), removedError(n.clusterID()))
}

// leaveForGood records why this node is no member any more, and tells who runs
// it.
func (n *Node) leaveForGood(key, value string, why error) {
	n.removing.Do(func() {
		if err := n.stores.Stable.Set([]byte(key), []byte(value)); err != nil {
			n.log.Error("the removal could not be recorded", "err", err)
		}
		n.log.Error("removed from the cluster", "err", why)
		close(n.removed)
	})
}

// isStranger reports, on the leader, that a node which takes itself for a member
// is none. The answer is as of a moment within the call, confirmed by a quorum.
func (n *Node) isStranger(s *seat, id string) bool {
	if _, ok := n.inTenure(s); !ok {
		return false
	}
	servers, index := s.servers()
	if len(servers) == 0 || hasServer(servers, id) || s.raft.CommitIndex() < index {
		return false
	}
	return s.raft.VerifyLeader().Error() == nil
}
