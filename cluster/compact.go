package cluster

import (
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// compactLook is the time between looks at the size of the log.
	compactLook = time.Second
	// lowShare and fullShare are the parts of the log that stay on a disk with
	// little space and with none.
	lowShare, fullShare = 4, 16
	// reclaimPause is the time between snapshots that are taken to free space; it
	// doubles up to reclaimPauseMax while nothing is written.
	reclaimPause    = 5 * time.Second
	reclaimPauseMax = 5 * time.Minute
)

// compactLog bounds the log by bytes. Raft counts entries, of which one may be a
// lone append or a batch of a megabyte: what it keeps by number would be a few
// megabytes or many gigabytes.
func (n *Node) compactLog(s *seat, stop <-chan struct{}) {
	tick := time.NewTicker(compactLook)
	defer tick.Stop()
	var reclaim reclaim
	for {
		select {
		case <-tick.C:
		case <-stop:
			return
		}
		level := n.disk().Level
		if err := n.trailBytes(s, shareOf(level)); err != nil {
			n.log.Warn("number of entries to keep not set", "err", err)
		}
		if s.log.grown() < n.cfg.SnapshotBytes/shareOf(level) && !reclaim.due(level, s.log.total()) {
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
func (n *Node) trailBytes(s *seat, share uint64) error {
	now := s.raft.ReloadableConfig()
	keep := max(1, s.log.newest(n.cfg.TrailingBytes/share, n.cfg.TrailingLogs/share))
	if keep == now.TrailingLogs {
		return nil
	}
	now.TrailingLogs = keep
	return s.raft.ReloadConfig(now)
}

// shareOf is by what the limits of the log are divided. A member that is away for
// long then needs a snapshot sooner, which is better than no disk space.
func shareOf(level DiskLevel) uint64 {
	switch level {
	case DiskLow:
		return lowShare
	case DiskFull:
		return fullShare
	}
	return 1
}

// reclaim frees space on a full disk by snapshots: one cuts the log, makes the
// copy drop what was deleted, and takes the place of an older one that still
// holds it. What a compaction frees after that is held by the new one: so others
// follow, less and less often while nothing is written.
type reclaim struct {
	pause time.Duration // until the next; 0 while the disk is not full
	seen  uint64        // bytes of the log at the last one
	at    time.Time
}

// due is asked at each look. written is how much the log has taken.
func (r *reclaim) due(level DiskLevel, written uint64) bool {
	switch {
	case level != DiskFull:
		r.pause = 0
		return false
	case r.pause == 0, written != r.seen:
		if r.pause > 0 && time.Since(r.at) < reclaimPause {
			return false
		}
		r.pause = reclaimPause
	case time.Since(r.at) < r.pause:
		return false
	default:
		r.pause = min(2*r.pause, reclaimPauseMax)
	}
	r.seen, r.at = written, time.Now()
	return true
}
