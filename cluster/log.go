package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// repeatInterval is how often the same line of raft may appear above Debug: raft
// repeats some of them at every failed heartbeat.
const repeatInterval = 10 * time.Second

// levels are those of raft's lines that sound worse than they are here.
var levels = map[string]slog.Level{
	// How a follower refuses a commit hint that came before its entry.
	"failed to get previous log":      slog.LevelDebug,
	"previous log term mis-match":     slog.LevelDebug,
	"skipping application of old log": slog.LevelDebug,

	// A connection that was closed, by either side.
	"failed to accept connection":                slog.LevelDebug,
	"failed to decode incoming command":          slog.LevelDebug,
	"failed to flush response":                   slog.LevelDebug,
	"aborting pipeline replication":              slog.LevelDebug,
	"pipelining replication":                     slog.LevelDebug,
	"appendEntries rejected, sending older logs": slog.LevelDebug,

	// The node itself says that a leader was lost, and warns when none comes.
	"failed to contact quorum of nodes, stepping down":         slog.LevelInfo,
	"no known peers, aborting election":                        slog.LevelDebug,
	"not part of stable configuration, aborting election":      slog.LevelDebug,
	"heartbeat timeout reached, starting election":             slog.LevelInfo,
	"unable to get address for server, using fallback address": slog.LevelDebug,

	// The node itself warns of a member that is out of reach, unless it has said
	// that it stops.
	"failed to heartbeat to":                    slog.LevelInfo,
	"failed to contact":                         slog.LevelInfo,
	"failed to appendEntries to":                slog.LevelInfo,
	"failed to pipeline appendEntries":          slog.LevelDebug,
	"failed to start pipeline replication to":   slog.LevelInfo,
	"failed to make requestVote RPC":            slog.LevelInfo,
	"failed to send snapshot to":                slog.LevelWarn,
	"peer has newer term, stopping replication": slog.LevelInfo,

	// How votes go when leadership changes.
	"rejecting vote request since our last term is greater":      slog.LevelInfo,
	"rejecting vote request since our last index is greater":     slog.LevelInfo,
	"rejecting vote request since we have a leader":              slog.LevelInfo,
	"rejecting pre-vote request since our last term is greater":  slog.LevelInfo,
	"rejecting pre-vote request since our last index is greater": slog.LevelInfo,
	"rejecting pre-vote request since we have a leader":          slog.LevelInfo,
}

// raftLog brings raft's lines to slog.
type raftLog struct {
	log  *slog.Logger
	told repeats
}

// newRaftLogger returns what raft logs to.
func newRaftLogger(log *slog.Logger) hclog.Logger {
	level := hclog.Info
	if log.Enabled(context.Background(), slog.LevelDebug) {
		level = hclog.Debug
	}
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: level, Output: io.Discard})
	l.RegisterSink(&raftLog{log: log.With("part", "raft"), told: repeats{interval: repeatInterval}})
	return l
}

// Accept implements hclog.SinkAdapter.
func (r *raftLog) Accept(_ string, level hclog.Level, msg string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case hclog.Warn:
		to = slog.LevelWarn
	case hclog.Error:
		to = slog.LevelError
	case hclog.Info:
		to = slog.LevelInfo
	}
	if lower, ok := levels[msg]; ok {
		to = min(to, lower)
	}
	if slices.Contains(args, any(raft.ErrNothingNewToSnapshot)) {
		to = slog.LevelDebug // a node that was just filled
	}
	if to > slog.LevelInfo && r.told.again(msg) {
		to = slog.LevelDebug
	}
	if !r.log.Enabled(context.Background(), to) {
		return
	}
	for i, a := range args {
		if f, ok := a.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	r.log.Log(context.Background(), to, msg, args...)
}

// repeats keeps what is said again and again from filling the log.
type repeats struct {
	interval time.Duration

	mu   sync.Mutex // guards last
	last map[string]time.Time
}

// repeatsMax bounds what is remembered, of which others may choose a part.
const repeatsMax = 256

// again reports that the same was told within the interval.
func (r *repeats) again(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if last, ok := r.last[what]; ok && now.Sub(last) < r.interval {
		return true
	}
	if r.last == nil || len(r.last) >= repeatsMax {
		r.last = map[string]time.Time{}
	}
	r.last[what] = now
	return false
}
