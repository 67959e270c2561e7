package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
)

// bufferBytesKept is the largest event buffer that is kept for reuse.
const bufferBytesKept = 256 << 10

// tail is one SSE connection (§5.8).
type tail struct {
	server   *Server
	res      *echo.Response
	flusher  *http.ResponseController
	lease    lease
	encoding encoding
	whole    bool   // cut text between characters only
	cursor   uint64 // never falls while the connection lives
	end      time.Time
	ping     time.Time
}

// sse streams what follows the first chunk, which was read after a fence, until
// the stream ends, the client leaves, or the connection has lived long enough.
func (s *Server) sse(c echo.Context, v *vantage, q *query, chunk stream.Chunk) error {
	ctx, leave, err := s.enterLive(c.Request().Context(), s.metrics.sse)
	if err != nil {
		return err
	}
	defer leave()
	now := s.cfg.Now()
	t := &tail{
		server:   s,
		res:      c.Response(),
		flusher:  http.NewResponseController(c.Response().Writer),
		lease:    s.lease(q.name, &chunk.Info),
		encoding: encodingOf(chunk.ContentType),
		cursor:   s.cursor(q.cursor),
		end:      now.Add(s.connectionLife()),
		ping:     now.Add(s.cfg.SSEKeepAlive),
	}
	t.whole = t.encoding == plainText && isUTF8(chunk.ContentType)
	t.writeHeader(v, &chunk)
	return t.run(ctx, chunk)
}

// connectionLife is SSEReconnectInterval less up to a tenth, so that readers
// that came together do not come back together.
func (s *Server) connectionLife() time.Duration {
	life := s.cfg.SSEReconnectInterval
	return life - time.Duration(s.cfg.Jitter(100))*life/1000
}

func (t *tail) writeHeader(v *vantage, chunk *stream.Chunk) {
	h := t.res.Header()
	h[headerContentType] = valEventStream
	h[headerAccelBuffering] = valNo
	if t.encoding == base64Text {
		h[headerSSEEncoding] = valBase64
	}
	h[headerNextOffset] = []string{chunk.From.String()} // where the events begin
	if chunk.Ended() && chunk.Len() == 0 {
		h[headerUpToDate], h[headerClosed] = valTrue, valTrue
	}
	v.mark(h)
	h[headerCacheControl] = valNoCache
	t.res.WriteHeader(http.StatusOK)
}

// run sends chunk after chunk. An error after the first byte only breaks the
// connection off; the client comes back with its last offset.
func (t *tail) run(ctx context.Context, chunk stream.Chunk) (err error) {
	for first := true; ; first = false {
		if t.whole {
			if chunk, err = t.wholeCharacters(ctx, chunk); err != nil {
				return t.ended(ctx, err)
			}
		}
		if first || chunk.Len() > 0 || chunk.Ended() {
			if !t.send(&chunk) {
				return nil
			}
		}
		if chunk.Ended() {
			return nil
		}
		if err := t.pause(ctx, &chunk); err != nil {
			return t.ended(ctx, err)
		}
		if chunk, err = t.next(chunk.Next); err != nil {
			return t.ended(ctx, err)
		}
	}
}

// ended tells which ends of a connection are worth an error: not the client's
// leaving, the server's draining, or the stream's deletion.
func (t *tail) ended(ctx context.Context, err error) error {
	var no *stream.Rejection
	if ctx.Err() != nil || errors.Is(err, errTimeUp) || errors.Is(err, errGone) || errors.As(err, &no) {
		return nil
	}
	return err
}

func (t *tail) next(at stream.Offset) (stream.Chunk, error) {
	return t.server.reader.Read(t.lease.name, stream.FromOffset(at), t.server.cfg.ChunkBytes)
}

// send writes the events of one chunk at once.
func (t *tail) send(chunk *stream.Chunk) bool {
	t.cursor = max(t.cursor, t.server.currentCursor())
	buffer := t.server.buffers.Get().(*[]byte)
	b := (*buffer)[:0]
	if chunk.Len() > 0 {
		b = appendData(b, t.encoding, chunk)
	}
	b = appendControl(b, chunk.Next, t.cursor, chunk.UpToDate(), chunk.Ended())
	ok := t.write(b)
	if cap(b) <= bufferBytesKept {
		*buffer = b
		t.server.buffers.Put(buffer)
	}
	return ok
}

// write reports whether the client took everything in time.
func (t *tail) write(b []byte) bool {
	// The deadline is a time of the network, not of Config.Now. It must not pass
	// while nothing is written: HTTP/2 would end the stream.
	t.setDeadline(time.Now().Add(t.server.cfg.SlowReaderTimeout))
	defer t.setDeadline(time.Time{})
	if _, err := t.res.Write(b); err != nil {
		return false
	}
	return t.flusher.Flush() == nil
}

func (t *tail) setDeadline(at time.Time) {
	if w, ok := t.res.Writer.(writeDeadliner); ok {
		_ = w.SetWriteDeadline(at)
	}
}

// errGone says that the client does not take what is written.
var errGone = errors.New("client is gone or stuck")

// pause returns nil when there is more to send after a chunk.
func (t *tail) pause(ctx context.Context, chunk *stream.Chunk) error {
	if !chunk.UpToDate() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		now := t.server.cfg.Now()
		t.lease.renewIfDue(now)
		if !now.Before(t.end) {
			return errTimeUp
		}
		return nil
	}
	return t.wait(ctx, chunk.Next, t.end)
}

// wait waits for something to read at an offset, and shows meanwhile that the
// connection lives.
func (t *tail) wait(ctx context.Context, at stream.Offset, until time.Time) error {
	for {
		next := until
		if t.ping.Before(next) {
			next = t.ping
		}
		err := t.server.wait(ctx, &t.lease, at, next)
		if !errors.Is(err, errTimeUp) {
			return err
		}
		now := t.server.cfg.Now()
		if !now.Before(until) {
			return errTimeUp
		}
		t.ping = now.Add(t.server.cfg.SSEKeepAlive)
		if !t.write([]byte(comment)) {
			return errGone
		}
	}
}
