package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mainstem/stream"
)

// fenceTimeMin is how long a read still tries to find a leader after
// NoLeaderGrace has passed without one.
const fenceTimeMin = 100 * time.Millisecond

// vantage is the point from which one request looks at the local copy, which
// may be behind. This file is the one place that says what a look may claim.
//
// A fence, after which the copy holds all that was committed before the
// request, is needed for HEAD, for reads from the start or from now, for every
// answer that reaches the tail, for 404, 410 and 400 by the stream's state, for
// 304, for the start of a live read and for the 204 that ends a long-poll. Only
// a read that names an offset and ends before the local tail does without: the
// bytes at an offset never change.
//
// One fence serves all later looks of a request: what the copy shows then was
// current at a moment within the request.
//
//	level         | leader | what is answered
//	--------------+--------+---------------------------------------------------
//	linearizable  | yes    | as above
//	linearizable  | no     | catch-up: the local bytes, without Up-To-Date and
//	              |        | Closed, with Stream-Staleness; all else 503
//	local         | either | everything from the copy, with Stream-Staleness
type vantage struct {
	server *Server
	local  bool // Stream-Read-Consistency: local
	fenced bool
	stale  bool // no leader answered, and the answer must not claim to be current
}

// vantage parses the level that a read asks for.
func (s *Server) vantage(r *http.Request, h http.Header) (vantage, error) {
	v := vantage{server: s}
	level, ok, err := once(r.Header, headerConsistency)
	switch {
	case err != nil:
		return v, err
	case !ok || strings.EqualFold(level, "linearizable"):
		return v, nil
	case strings.EqualFold(level, "local"):
		v.local = true
		v.mark(h)
		return v, nil
	}
	return v, malformed(headerConsistency, "is not a level", "use linearizable, which is the default, or local")
}

// settled reports that what the copy shows may be answered as it is.
func (v *vantage) settled() bool { return v.local || v.fenced }

// fence makes the copy current, or returns an error: the context's when the
// client has left, else that of a node without a leader.
func (v *vantage) fence(ctx context.Context) error {
	if v.settled() {
		return nil
	}
	if f, ok := v.server.fencer.(promptFencer); ok && f.FencedAtOnce() {
		v.fenced = true
		return nil
	}
	try, cancel := context.WithTimeout(ctx, v.server.patience())
	defer cancel()
	if err := v.server.fencer.Fence(try); err != nil {
		return err
	}
	v.fenced = true
	return nil
}

// patience is how long a request waits for a leader: until there has been none
// for NoLeaderGrace.
func (s *Server) patience() time.Duration {
	contact, ok := s.cluster.LeaderContact()
	if !ok {
		return s.cfg.NoLeaderGrace
	}
	left := s.cfg.NoLeaderGrace - s.cfg.Now().Sub(contact)
	return min(max(left, fenceTimeMin), s.cfg.NoLeaderGrace)
}

// info is the look of a HEAD.
func (v *vantage) info(ctx context.Context, name stream.Name) (stream.Info, error) {
	if err := v.fence(ctx); err != nil {
		return stream.Info{}, notCurrent(err)
	}
	info, ok, err := v.server.reader.Info(name)
	switch {
	case err != nil:
		return info, err
	case !ok:
		return info, &stream.Rejection{Code: stream.NotFound}
	case info.Deleted:
		return info, &stream.Rejection{Code: stream.Gone}
	}
	return info, nil
}

// read is the first look of a GET.
func (v *vantage) read(ctx context.Context, q *query) (stream.Chunk, error) {
	if chunk, ok := v.known(ctx, q); ok {
		return chunk, nil
	}
	chunk, looked := stream.Chunk{}, false
	if _, named := q.from.Offset(); named && q.mode == catchUp && !v.settled() {
		var err error
		chunk, err = v.look(q)
		looked = err == nil
		if looked && !chunk.UpToDate() && !q.unmodified(&chunk) {
			return chunk, nil
		}
	}
	if err := v.fence(ctx); err != nil {
		return v.readWithoutLeader(ctx, q, err)
	}
	if looked && v.unchanged(q.name, &chunk) {
		return chunk, nil
	}
	return v.look(q)
}

// known serves a client that asks whether there is more than it has: what follows its
// offset to the tail, if that fits into one answer, is known without reading it, and
// its tag is that of the client. The chunk has no body, since a 304 needs none.
func (v *vantage) known(ctx context.Context, q *query) (chunk stream.Chunk, ok bool) {
	at, named := q.from.Offset()
	if !named || q.mode != catchUp || len(q.tags) == 0 {
		return chunk, false
	}
	same := func() bool {
		info, there, err := v.server.reader.Info(q.name)
		chunk = stream.Chunk{Info: info, From: at, Next: info.Tail}
		return err == nil && there && !info.Deleted && at.Incarnation == info.Incarnation && info.Tail.Incarnation == info.Incarnation &&
			info.Start.Compare(at) <= 0 && at.Pos < info.Tail.Pos && info.Tail.Pos-at.Pos <= uint64(v.server.cfg.ChunkBytes) && q.unmodified(&chunk)
	}
	if !same() {
		return chunk, false
	}
	return chunk, v.settled() || v.fence(ctx) == nil && same() // nothing may have changed meanwhile
}

func (v *vantage) look(q *query) (stream.Chunk, error) {
	return v.server.reader.Read(q.name, q.from, v.server.cfg.ChunkBytes)
}

// unchanged reports that the stream is as it was when the chunk was read, which
// spares reading it again.
func (v *vantage) unchanged(name stream.Name, c *stream.Chunk) bool {
	now, ok, err := v.server.reader.Info(name)
	return err == nil && ok && !now.Deleted &&
		now.Incarnation == c.Incarnation && now.Tail == c.Tail && now.Closed == c.Closed
}

// readWithoutLeader returns committed bytes that are here, if that is what was
// asked for; no leader can take those back.
func (v *vantage) readWithoutLeader(ctx context.Context, q *query, cause error) (stream.Chunk, error) {
	if ctx.Err() != nil {
		return stream.Chunk{}, context.Cause(ctx)
	}
	if q.from.Now() || q.mode == sse {
		return stream.Chunk{}, notCurrent(cause)
	}
	chunk, err := v.look(q)
	var no *stream.Rejection
	switch {
	case errors.As(err, &no):
		return stream.Chunk{}, notCurrent(cause)
	case err != nil:
		return stream.Chunk{}, err
	}
	return chunk, v.goStale(q, &chunk, cause)
}

// goStale takes back the claim that a chunk is current, or returns an error if
// there would be no answer without it.
func (v *vantage) goStale(q *query, c *stream.Chunk, cause error) error {
	if q.mode == sse || q.from.Now() || q.mode == longPoll && c.Len() == 0 || q.unmodified(c) {
		return notCurrent(cause)
	}
	v.stale = true
	return nil
}

// mark says in an answer that it may be old, and how old.
func (v *vantage) mark(h http.Header) {
	if !v.local && !v.stale {
		return
	}
	h[headerCacheControl] = valNoStore
	contact, ok := v.server.cluster.LeaderContact()
	if !ok {
		h[headerStaleness] = []string{"unknown"}
		return
	}
	age := max(0, v.server.cfg.Now().Sub(contact))
	h[headerStaleness] = []string{strconv.FormatInt(age.Milliseconds(), 10)}
}
