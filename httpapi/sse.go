package httpapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
)

// beginSSE sends the header of an event stream. What follows the first chunk,
// which was read after a fence, is streamed by run.
func (s *Server) beginSSE(c echo.Context, v *vantage, q *query, chunk stream.Chunk) (*tail, error) {
	f, err := s.follow(q.name, &chunk.Info, s.metrics.sse)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	t := &tail{
		follower: f,
		out:      newResponse(s, c),
		told:     accountOf(c),
		chunk:    chunk,
		fresh:    true, // however empty: the first event says where the reader is
		encoding: encodingOf(chunk.ContentType),
		cursor:   s.cursor(q.cursor),
		end:      now.Add(s.connectionLife()),
		ping:     now.Add(s.cfg.SSEKeepAlive),
	}
	t.whole = t.encoding == plainText && isUTF8(chunk.ContentType)
	t.writeHeader(c, v)
	return t, nil
}

// connectionLife is SSEReconnectInterval less up to a tenth, so that readers
// that came together do not come back together.
func (s *Server) connectionLife() time.Duration {
	life := s.cfg.SSEReconnectInterval
	return life - time.Duration(s.cfg.Jitter(100))*life/1000
}

func (t *tail) writeHeader(c echo.Context, v *vantage) {
	chunk := &t.chunk
	h := c.Response().Header()
	h[headerContentType] = valEventStream
	h[headerAccelBuffering] = valNo
	if t.encoding == base64Text {
		h[headerSSEEncoding] = valBase64
	}
	h[headerNextOffset] = []string{chunk.From.String()} // where the events begin
	if chunk.Ended() && chunk.Len() == 0 {
		h[headerUpToDate], h[headerClosed] = valTrue, valTrue
	}
	if res, ok := t.out.(*response); ok && t.server.relay.takes(c.Request()) {
		res.closes = true
		h[headerConnection] = valClose // what is taken from net/http cannot be given back
	}
	v.mark(h)
	h[headerCacheControl] = valNoCache
	c.Response().WriteHeader(http.StatusOK)
}

// response is the outlet through net/http: writes wait until the network has
// taken them, or time is up.
type response struct {
	server   *Server
	res      *echo.Response
	flusher  *http.ResponseController
	keeps    bool      // a write deadline may pass while nothing is written
	deadline time.Time // of writes, by the clock of the network
	begin    time.Time
	closes   bool // the connection carries no other request, and may be taken over
}

func newResponse(s *Server, c echo.Context) *response {
	return &response{
		server:  s,
		begin:   time.Now(),
		res:     c.Response(),
		flusher: http.NewResponseController(c.Response().Writer),
		keeps:   c.Request().ProtoMajor == 1,
	}
}

func (r *response) blocked() bool { return false }

// write reports whether the client took everything in time.
func (r *response) write(p packet) bool {
	if p.room != nil {
		held := int64(len(p.chunk))
		if !r.server.outgoing.take(held) {
			r.server.metrics.tooFull.Inc()
			return false
		}
		defer r.server.outgoing.give(held)
	}
	r.limitWrite()
	if _, err := r.res.Write(p.text()); err != nil {
		r.server.countSlow(r.deadline)
		return false // the buffer is not used again: HTTP/2 may still hold what it could not send
	}
	if r.flusher.Flush() != nil {
		r.server.countSlow(r.deadline)
		return false
	}
	r.server.unpack(p)
	if !r.keeps {
		r.setDeadline(time.Time{})
	}
	return true
}

// limitWrite gives a write at least SlowReaderTimeout. Setting a deadline costs
// as much as encoding an event, so one serves the writes of a while, unless the
// connection would not survive it: HTTP/2 ends a stream whose deadline passes
// while nothing is written. It is a time of the network, not of Config.Now.
func (r *response) limitWrite() {
	now, slow := time.Now(), r.server.cfg.SlowReaderTimeout
	if r.keeps && r.deadline.Sub(now) >= slow {
		return
	}
	r.deadline = now.Add(slow + slow/4)
	r.setDeadline(r.deadline)
}

func (r *response) setDeadline(at time.Time) {
	if w, ok := r.res.Writer.(writeDeadliner); ok {
		_ = w.SetWriteDeadline(at)
	}
}

// leave makes the connection fit for other requests.
func (r *response) leave() { r.setDeadline(time.Time{}) }
