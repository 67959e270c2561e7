package stream

import (
	"regexp"
	"strconv"
	"time"
)

// Time is machine time: milliseconds since 1970. It comes in commands, stamped
// by the leader, and never goes backwards in the log.
type Time int64

// TimeOf converts a clock reading.
func TimeOf(t time.Time) Time { return Time(t.UnixMilli()) }

// Add returns t moved by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Milliseconds()) }

// TTLSecondsMax bounds Stream-TTL so that no deadline overflows.
const TTLSecondsMax = 9_007_199_254

// Lifetime says when a stream ends by itself: never (the zero value), after a
// sliding window without use, or at a fixed instant (§5.1).
type Lifetime struct {
	kind lifetimeKind
	ttl  uint64 // seconds
	at   Time
	text string // Stream-Expires-At as the creator wrote it
}

type lifetimeKind uint8

const (
	lifetimeNone lifetimeKind = iota
	lifetimeTTL
	lifetimeExpiresAt
)

// ParseLifetime parses Stream-TTL and Stream-Expires-At; nil means absent.
func ParseLifetime(ttl, expiresAt *string) (Lifetime, error) {
	switch {
	case ttl != nil && expiresAt != nil:
		return Lifetime{}, malformed("Stream-TTL", "comes with Stream-Expires-At", "send one of the two")
	case ttl != nil:
		n, ok := parseCount(*ttl)
		if !ok {
			return Lifetime{}, malformed("Stream-TTL", "is not a whole number of seconds without sign, point or leading zero", "send seconds such as 3600")
		}
		if n > TTLSecondsMax {
			return Lifetime{}, malformed("Stream-TTL", "is above 9007199254 seconds", "leave the header out for a stream that does not expire")
		}
		return Lifetime{kind: lifetimeTTL, ttl: n}, nil
	case expiresAt != nil:
		at, err := time.Parse(time.RFC3339, *expiresAt)
		if err != nil || !rfc3339.MatchString(*expiresAt) {
			return Lifetime{}, malformed("Stream-Expires-At", "is not an RFC 3339 time", "send a time such as 2030-01-31T12:00:00Z")
		}
		return Lifetime{kind: lifetimeExpiresAt, at: TimeOf(at), text: *expiresAt}, nil
	}
	return Lifetime{}, nil
}

// rfc3339 is the grammar. time.Parse checks days and hours but takes more: an
// hour of one digit, a comma, an offset of a day.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// parseCount parses ^(0|[1-9][0-9]*)$ up to 2^53-1.
func parseCount(s string) (uint64, bool) {
	if len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	return ParseInteger(s)
}

// IsNone reports a stream that never expires.
func (l Lifetime) IsNone() bool { return l.kind == lifetimeNone }

// TTL returns the sliding window; ok is false for other lifetimes.
func (l Lifetime) TTL() (window time.Duration, ok bool) {
	return time.Duration(min(l.ttl, uint64(maxWindow/time.Second))) * time.Second, l.kind == lifetimeTTL
}

const maxWindow = time.Duration(1<<63 - 1)

// TTLText renders Stream-TTL, "" for other lifetimes.
func (l Lifetime) TTLText() string {
	if l.kind != lifetimeTTL {
		return ""
	}
	return strconv.FormatUint(l.ttl, 10)
}

// ExpiresAtText renders Stream-Expires-At as it was given, "" for other
// lifetimes.
func (l Lifetime) ExpiresAtText() string { return l.text }

// Same reports equal lifetimes; instants are compared, not their spelling.
func (l Lifetime) Same(m Lifetime) bool { return l.kind == m.kind && l.ttl == m.ttl && l.at == m.at }

// deadline is when a stream used at now ends; 0 means never, so that no
// instant may be 0.
func (l Lifetime) deadline(now Time) Time {
	switch l.kind {
	case lifetimeTTL:
		return max(now+Time(l.ttl)*1000, 1)
	case lifetimeExpiresAt:
		return max(l.at, 1)
	}
	return 0
}
