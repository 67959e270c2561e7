package httpapi

import (
	"strconv"
	"strings"

	"mainstem/stream"
)

// appendETag appends the tag of a range of a stream: its incarnation, start and
// end, and whether it ends where a closed stream ends (§10.1). All nodes agree
// on it.
func appendETag(b []byte, incarnation, start, end uint64, ended bool) []byte {
	b = append(b, '"')
	b = strconv.AppendUint(b, incarnation, 10)
	b = append(b, ':')
	b = strconv.AppendUint(b, start, 10)
	b = append(b, ':')
	b = strconv.AppendUint(b, end, 10)
	if ended {
		b = append(b, ":c"...)
	}
	return append(b, '"')
}

func chunkETag(c *stream.Chunk) string {
	return string(appendETag(make([]byte, 0, 64), c.Incarnation, c.From.Pos, c.Next.Pos, c.Ended()))
}

// infoETag is the tag of the whole stream.
func infoETag(i *stream.Info) string {
	return string(appendETag(make([]byte, 0, 64), i.Incarnation, i.Start.Pos, i.Tail.Pos, i.Closed))
}

// matches reports whether If-None-Match names a tag. Comparison is weak (RFC
// 9110 §13.1.2). Our tags hold no comma.
func matches(ifNoneMatch []string, tag string) bool {
	for _, line := range ifNoneMatch {
		for candidate := range strings.SplitSeq(line, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// unmodified reports that the client has this chunk already. A read from "now"
// has no tag: what it means changes with time.
func (q *query) unmodified(c *stream.Chunk) bool {
	return len(q.tags) > 0 && !q.from.Now() && matches(q.tags, chunkETag(c))
}
