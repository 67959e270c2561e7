package cluster

import (
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// compactLook is the time between looks at the size of the log.
const compactLook = time.Second

// compactLog bounds the log by bytes. Raft counts entries, of which one may be a
// lone append or a batch of a megabyte: what it keeps by number would be a few
// megabytes or many gigabytes.
func (n *Node) compactLog(s *seat, stop <-chan struct{}) {
	tick := time.NewTicker(compactLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-stop:
			return
		}
		if err := n.trailBytes(s); err != nil {
			n.log.Warn("number of entries to keep not set", "err", err)
		}
		if s.log.grown() < n.cfg.SnapshotBytes {
			continue
		}
		s.log.mark()
		err := s.raft.Snapshot().Error()
		if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) && !errors.Is(err, raft.ErrRaftShutdown) {
			n.log.Warn("snapshot not taken; the log keeps growing", "err", err)
		}
	}
}

// trailBytes tells raft how many entries make up TrailingBytes now, so that its
// own snapshots too keep that much and no more.
func (n *Node) trailBytes(s *seat) error {
	now := s.raft.ReloadableConfig()
	keep := min(n.cfg.TrailingLogs, max(1, s.log.newest(n.cfg.TrailingBytes, n.cfg.TrailingLogs)))
	if keep == now.TrailingLogs {
		return nil
	}
	now.TrailingLogs = keep
	return s.raft.ReloadConfig(now)
}
