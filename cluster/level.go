package cluster

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"mainstem/stream"
)

// LevelError means that some member of the cluster runs a version that does not
// understand what was submitted: an upgrade is under way, or was not finished. What
// was submitted has certainly not been proposed.
type LevelError struct {
	Needs  byte     // the level of what was submitted
	Has    byte     // that all members understand
	Behind []string // members below Needs, and those of which nothing is known
}

func (e *LevelError) Error() string {
	return fmt.Sprintf("cluster: this needs level %d, and the members understand level %d; nothing was written, upgrade or remove %s, and if one is away, start it", e.Needs, e.Has, strings.Join(e.Behind, ", "))
}

// UpgradeUnfinished tells callers that may not import this package what it is.
func (e *LevelError) UpgradeUnfinished() bool { return true }

// agreement knows what all members understand. The log is one and goes to all of
// them: an entry that one does not understand would end its process at every start.
type agreement struct {
	judging sync.Mutex // one judgement at a time, so that the newest stays

	now atomic.Uint32 // as last judged; 0 before
	// agreed is the highest that all members had at one time, as this node or any
	// that told it has seen. Entries of that level may be in the log, so it counts
	// for a member of which nothing has been heard yet.
	agreed atomic.Uint32
}

// refuseLevel returns why what needs a level cannot be taken, nil if it can.
func (n *Node) refuseLevel(need byte) error {
	if no := n.tooNew(need); no != nil {
		return no
	}
	return nil
}

// judgeEnvelope is refuseLevel for a batch.
func (n *Node) judgeEnvelope(envelope []byte) *LevelError {
	return n.tooNew(stream.EnvelopeLevel(envelope))
}

func (n *Node) tooNew(need byte) *LevelError {
	if uint32(need) <= n.levels.now.Load() {
		return nil
	}
	if n.seat.Load() == nil {
		return nil // nothing is proposed
	}
	if has := n.judgeLevel(); need > has {
		return &LevelError{Needs: need, Has: has, Behind: n.behind(need)}
	}
	return nil
}

// judgeLevel finds the lowest level of the members.
func (n *Node) judgeLevel() byte {
	n.levels.judging.Lock()
	defer n.levels.judging.Unlock()
	servers := n.servers()
	lowest, all := n.cfg.Level, len(servers) > 0
	for _, server := range servers {
		level, known := n.levelOf(string(server.ID))
		lowest, all = min(lowest, level), all && known
	}
	if all {
		n.agree(lowest)
	}
	if before := n.levels.now.Swap(uint32(lowest)); before != 0 && before != uint32(lowest) {
		n.log.Info("level of what is proposed", "level", lowest, "own", n.cfg.Level)
	}
	return lowest
}

// levelOf is what a member understands; of one that has not been heard of it is
// what all had agreed on.
func (n *Node) levelOf(id string) (level byte, known bool) {
	if id == n.cfg.NodeID {
		return n.cfg.Level, true
	}
	if r, ok := n.members.get(id); ok {
		return told(r.Level), true
	}
	return max(byte(n.levels.agreed.Load()), stream.LevelOldest), false
}

// told is the level that a node means that says none: it is of the versions from
// before levels were told, all of which had the oldest.
func told(level byte) byte {
	if level == 0 {
		return stream.LevelOldest
	}
	return level
}

// agree notes a level that all members had at one time.
func (n *Node) agree(level byte) {
	for {
		before := n.levels.agreed.Load()
		if uint32(level) <= before || n.levels.agreed.CompareAndSwap(before, uint32(level)) {
			return
		}
	}
}

// behind are the members because of which a level is not proposed.
func (n *Node) behind(need byte) (ids []string) {
	for _, server := range n.servers() {
		if level, _ := n.levelOf(string(server.ID)); level < need {
			ids = append(ids, string(server.ID))
		}
	}
	slices.Sort(ids)
	return ids
}

// tooOld says why a node that asks to be admitted cannot be: there may be entries
// in the log that it does not understand.
func (n *Node) tooOld(q joinRequest) string {
	level, agreed := told(q.Level), byte(n.levels.agreed.Load())
	if level >= agreed {
		return ""
	}
	return fmt.Sprintf("node %q understands level %d, and the log of this cluster may have entries of level %d; start it with the version of the members", q.NodeID, level, agreed)
}
