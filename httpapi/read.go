package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
)

// Cache lifetimes of chunks (§10.1).
const (
	cacheSecs      = 60
	cacheStaleSecs = 300
)

var (
	valCachePublic  = []string{"public, max-age=60, stale-while-revalidate=300"}
	valCachePrivate = []string{"private, max-age=60, stale-while-revalidate=300"}
)

// slowBytes is how much a client may leave unread in the buffers of the network
// without a deadline.
const slowBytes = 64 << 10

// writeDeadliner is what net/http's response writers can do.
type writeDeadliner interface{ SetWriteDeadline(time.Time) error }

// read answers GET: §5.6, and for live reads §5.7 and §5.8. A connection that
// waits for events keeps its stack, so what came before is in a function that
// has returned by then: a stack of 8 KiB suffices, and not 16.
func (s *Server) read(c echo.Context) (op operation, err error) {
	op, t, err := s.beginRead(c)
	if t == nil {
		return op, err
	}
	taken := false
	defer func() {
		if !taken {
			t.out.(*response).leave()
			t.close()
		}
	}()
	taken, err = t.run(c.Request().Context(), func() bool { return s.relay.take(t) })
	if taken {
		op = opTaken
	}
	return op, err
}

// beginRead answers all but SSE, of which it sends the header. Then t must be
// run and closed.
func (s *Server) beginRead(c echo.Context) (op operation, t *tail, err error) {
	r := c.Request()
	name, err := s.nameOf(c)
	if err != nil {
		return opRead, nil, err
	}
	q, err := parseQuery(r)
	if err != nil {
		return opRead, nil, err
	}
	q.name = name
	v, err := s.vantage(r, c.Response().Header())
	if err != nil {
		return opRead, nil, err
	}
	chunk, err := v.read(r.Context(), &q)
	if err == nil {
		err = v.renew(r.Context(), &q, &chunk)
	}
	if err != nil {
		return q.mode.operation(), nil, err
	}
	if chunk.Free != nil && q.mode != sse { // the events of SSE count while they are written
		if err := callOf(c).holdOutgoing(int64(chunk.Len())); err != nil {
			chunk.Free()
			return q.mode.operation(), nil, err
		}
	}
	switch q.mode {
	case longPoll:
		return opLongPoll, nil, s.longPoll(c, &v, &q, chunk)
	case sse:
		t, err = s.beginSSE(c, &v, &q, chunk)
		return opSSE, t, err
	}
	return opRead, nil, s.writeChunk(c, &v, &q, &chunk)
}

// writeChunk renders a chunk as 200, or 304 if the client has it.
func (s *Server) writeChunk(c echo.Context, v *vantage, q *query, chunk *stream.Chunk) error {
	unmodified := !v.stale && q.unmodified(chunk)
	if !unmodified {
		if err := callOf(c).showOffsets(q.name, chunk); err != nil {
			return err
		}
	}
	h := c.Response().Header()
	if !v.stale {
		s.setCache(c.Request(), h, q, chunk)
	}
	setPosition(h, v, chunk)
	h[headerContentType] = []string{string(chunk.ContentType)}
	if q.mode == longPoll && !chunk.Ended() {
		h[headerCursor] = []string{strconv.FormatUint(s.cursor(q.cursor), 10)}
	}
	v.mark(h)
	if unmodified {
		c.Response().WriteHeader(http.StatusNotModified)
		return nil
	}
	s.writeBody(c, chunk)
	return nil
}

// setPosition sets where the client is in the stream.
func setPosition(h http.Header, v *vantage, chunk *stream.Chunk) {
	h[headerNextOffset] = []string{chunk.Next.String()}
	if chunk.Trimmed {
		h[headerRetentionHorizon] = []string{chunk.Start.String()}
	}
	if v.stale {
		return
	}
	if chunk.UpToDate() {
		h[headerUpToDate] = valTrue
	}
	if chunk.Ended() {
		h[headerClosed] = valTrue
	}
}

// setCache sets Cache-Control and ETag. What "now" returns must not be kept: it
// means something else the next time.
func (s *Server) setCache(r *http.Request, h http.Header, q *query, chunk *stream.Chunk) {
	if q.from.Now() {
		h[headerCacheControl] = valNoStore
		return
	}
	h[headerETag] = []string{chunkETag(chunk)}
	private := s.cfg.Access != nil || len(r.Header[headerAuthorization]) > 0
	if private {
		addVary(h)
	}
	if chunk.Deadline != 0 {
		left := (chunk.Deadline - stream.TimeOf(s.cfg.Now())) / 1000
		if left < cacheSecs+cacheStaleSecs {
			h[headerCacheControl] = []string{shortCache(private, int64(left))}
			return
		}
	}
	if private {
		h[headerCacheControl] = valCachePrivate
		return
	}
	h[headerCacheControl] = valCachePublic
}

// addVary keeps a cache from showing an answer to somebody who shows no credential,
// or another: a browser has one cache for all who use it.
func addVary(h http.Header) {
	if len(h[headerVary]) > 0 {
		h[headerVary] = valVaryBoth
		return
	}
	h[headerVary] = valVaryCredential
}

// shortCache is for a stream that ends soon: no cache should outlive it.
func shortCache(private bool, secs int64) string {
	scope := "public"
	if private {
		scope = "private"
	}
	return scope + ", max-age=" + strconv.FormatInt(min(max(secs, 0), cacheSecs), 10)
}

// writeBody sends wire bytes as they are, and JSON as one array (§9.1.5): each
// stored message ends with a comma.
func (s *Server) writeBody(c echo.Context, chunk *stream.Chunk) {
	res := c.Response()
	n, isJSON := chunk.Len(), chunk.ContentType.JSON()
	body := chunk.Body
	if isJSON {
		n += len("[]")
		if len(body) > 0 {
			n--
		}
	}
	res.Header()[headerContentLength] = []string{strconv.Itoa(n)}
	s.throttle.spend(callOf(c), int64(n))
	deadline := time.Time{}
	if w, ok := res.Writer.(writeDeadliner); ok && n > slowBytes {
		// A deadline that has passed fails the connection, so that a reader that
		// is stuck holds no memory. It is a time of the network, not of Config.Now.
		deadline = time.Now().Add(s.cfg.SlowReaderTimeout + time.Duration(n/bodyRateMin)*time.Second)
		_ = w.SetWriteDeadline(deadline)
		defer func() { _ = w.SetWriteDeadline(time.Time{}) }()
	}
	res.WriteHeader(http.StatusOK)
	if isJSON {
		_, _ = res.Write(openBracket)
	}
	for i, piece := range body {
		if isJSON && i == len(body)-1 {
			piece = piece[:len(piece)-1]
		}
		if _, err := res.Write(piece); err != nil {
			s.countSlow(deadline)
			return // the reader has left or is stuck
		}
	}
	if isJSON {
		_, _ = res.Write(closeBracket)
	}
	if chunk.Free != nil {
		chunk.Free() // not after a failed write: HTTP/2 may still hold what it could not send
	}
}

// countSlow counts a reader whose connection failed: as a slow one if that was
// because its time was up.
func (s *Server) countSlow(deadline time.Time) {
	if !deadline.IsZero() && !time.Now().Before(deadline) {
		s.metrics.tooSlow.Inc()
	}
}

var (
	openBracket  = []byte("[")
	closeBracket = []byte("]")
)
