package cluster

import (
	"log/slog"
	"regexp"
	"strings"
	"time"
)

// unreadableInterval is how often the log says that one host's gossip cannot be
// read.
const unreadableInterval = time.Minute

// gossipLog brings memberlist's lines to slog. All are Debug: the node itself says
// what matters. Only of keys that do not fit memberlist alone knows.
type gossipLog struct {
	log  *slog.Logger
	told repeats
}

func newGossipLog(log *slog.Logger) *gossipLog {
	return &gossipLog{log: log, told: repeats{interval: unreadableInterval}}
}

// sender is how memberlist names who sent what it complains of, or who answered
// what could not be read.
var sender = regexp.MustCompile(`(?:from=|join )([^ ]+?)(?::\d+)?(?::? |$)`)

// unreadable tells by a line of memberlist why gossip could not be read; "" for a
// line about something else.
func unreadable(line string) string {
	line = strings.ToLower(line)
	switch {
	case strings.Contains(line, "no installed keys could decrypt"):
		return "it is encrypted with a key that this node does not have; give both the same keys (cluster.gossip_key_path, or mainstem cluster keyring add)"
	case strings.Contains(line, "encryption is configured but remote state is not encrypted"), strings.Contains(line, "decrypt packet failed"):
		return "it is not encrypted, and this node takes nothing else (cluster.gossip_encryption = required); set the other's to send or required"
	case strings.Contains(line, "remote state is encrypted and encryption is not configured"):
		return "it is encrypted, and this node has no keys (cluster.gossip_encryption = off); set it to accept"
	}
	return ""
}

func (g *gossipLog) Write(p []byte) (int, error) {
	line := strings.TrimSpace(string(p))
	if why := unreadable(line); why != "" {
		from := ""
		if m := sender.FindStringSubmatch(line); m != nil {
			from = m[1]
		}
		if !g.told.again(from + why) {
			g.log.Warn("gossip of another node cannot be read", "from", from, "why", why)
		}
	}
	g.log.Debug("memberlist", "line", line)
	return len(p), nil
}
