package subs

import "mainstem/stream"

// Link is the cursor of a subscription on one stream.
type Link struct {
	Explicit bool          // asked for by name; a glob may match it as well
	Acked    stream.Offset // last processed, inclusive; the zero offset is before all
}

// pending reports data after the cursor.
func (l Link) pending(s *stream.State) bool { return s != nil && s.HasAfter(l.Acked) }

// StreamLink is a link as its stream sees it.
type StreamLink struct {
	Number uint64
	Link   Link
}

// LinkInfo is a link with what its stream holds.
type LinkInfo struct {
	Name     stream.Name
	Explicit bool
	Acked    stream.Offset
	Tail     stream.Offset // the zero offset when there is no stream
	Pending  bool
}

// Look completes a link by the state of its stream, nil for none.
func (l Link) Look(name stream.Name, s *stream.State) LinkInfo {
	info := LinkInfo{Name: name, Explicit: l.Explicit, Acked: l.Acked, Pending: l.pending(s)}
	if s != nil && !s.Deleted {
		info.Tail = s.Tail()
	}
	return info
}

// StreamBody is a link as wakes and claims show it (§7.1, §7.2).
type StreamBody struct {
	Path        string `json:"path"`
	LinkType    string `json:"link_type"`
	AckedOffset string `json:"acked_offset"`
	TailOffset  string `json:"tail_offset"`
	HasPending  bool   `json:"has_pending"`
}

// Body renders the link.
func (l LinkInfo) Body() StreamBody {
	return StreamBody{
		Path: string(l.Name), LinkType: l.Type(),
		AckedOffset: l.Acked.String(), TailOffset: l.Tail.String(), HasPending: l.Pending,
	}
}

// Type is explicit, which takes precedence, or glob (§6.1).
func (l LinkInfo) Type() string {
	if l.Explicit {
		return "explicit"
	}
	return "glob"
}
