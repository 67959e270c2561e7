package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// repeatInterval is how often the same line of raft may appear above Debug: raft
// repeats some of them at every failed heartbeat.
const repeatInterval = 10 * time.Second

// demoted lines are raft's ordinary life here. The first two are how a follower
// refuses a commit hint that came before its entry.
var demoted = map[string]bool{
	"failed to get previous log":        true,
	"previous log term mis-match":       true,
	"skipping application of old log":   true,
	"failed to decode incoming command": true, // a closed connection
	"failed to flush response":          true,
}

// raftLog brings raft's lines to slog.
type raftLog struct {
	log *slog.Logger

	mu   sync.Mutex // guards last
	last map[string]time.Time
}

// newRaftLogger returns what raft logs to.
func newRaftLogger(log *slog.Logger) hclog.Logger {
	level := hclog.Info
	if log.Enabled(context.Background(), slog.LevelDebug) {
		level = hclog.Debug
	}
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: level, Output: io.Discard})
	l.RegisterSink(&raftLog{log: log.With("part", "raft"), last: map[string]time.Time{}})
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
	if demoted[msg] || to > slog.LevelDebug && r.repeated(msg) {
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

func (r *raftLog) repeated(msg string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if last, ok := r.last[msg]; ok && now.Sub(last) < repeatInterval {
		return true
	}
	r.last[msg] = now
	return false
}

// gossipLog brings memberlist's lines to slog. All but errors are Debug: the
// node itself says what matters.
type gossipLog struct{ log *slog.Logger }

func (g gossipLog) Write(p []byte) (int, error) {
	line := strings.TrimSpace(string(p))
	level := slog.LevelDebug
	if strings.Contains(line, "[ERR]") {
		level = slog.LevelWarn
	}
	g.log.Log(context.Background(), level, "gossip", "line", line)
	return len(p), nil
}
