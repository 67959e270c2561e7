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
	*follower
	chunk    stream.Chunk // the last one read; its body only until it is sent
	res      *echo.Response
	flusher  *http.ResponseController
	keeps    bool // a write deadline may pass while nothing is written
	encoding encoding
	whole    bool   // cut text between characters only
	cursor   uint64 // never falls while the connection lives
	end      time.Time
	ping     time.Time
	deadline time.Time // of writes, by the clock of the network
}

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
		chunk:    chunk,
		res:      c.Response(),
		flusher:  http.NewResponseController(c.Response().Writer),
		keeps:    c.Request().ProtoMajor == 1,
		encoding: encodingOf(chunk.ContentType),
		cursor:   s.cursor(q.cursor),
		end:      now.Add(s.connectionLife()),
		ping:     now.Add(s.cfg.SSEKeepAlive),
	}
	t.whole = t.encoding == plainText && isUTF8(chunk.ContentType)
	t.writeHeader(v)
	return t, nil
}

// close leaves the connection fit for other requests.
func (t *tail) close() {
	t.setDeadline(time.Time{})
	t.follower.close()
}

// connectionLife is SSEReconnectInterval less up to a tenth, so that readers
// that came together do not come back together.
func (s *Server) connectionLife() time.Duration {
	life := s.cfg.SSEReconnectInterval
	return life - time.Duration(s.cfg.Jitter(100))*life/1000
}

func (t *tail) writeHeader(v *vantage) {
	chunk := &t.chunk
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

// run sends chunk after chunk, until the stream ends, the client leaves, or the
// connection has lived long enough. An error after the first byte only breaks
// the connection off; the client comes back with its last offset.
func (t *tail) run(ctx context.Context) error {
	for first := true; ; first = false {
		if t.whole {
			if err := t.completeCharacter(ctx); err != nil {
				return t.ended(ctx, err)
			}
		}
		if first || t.chunk.Len() > 0 || t.chunk.Ended() {
			if !t.send(&t.chunk) {
				return nil
			}
			t.chunk.Body, t.chunk.Memo, t.chunk.Free = nil, nil, nil // not to be held while waiting
		}
		if t.chunk.Ended() {
			return nil
		}
		if err := t.pause(ctx); err != nil {
			return t.ended(ctx, err)
		}
		if err := t.next(); err != nil {
			return t.ended(ctx, err)
		}
	}
}

func (t *tail) next() (err error) {
	t.chunk, err = t.look(t.chunk.Next, t.server.cfg.ChunkBytes)
	return err
}

// ended tells which ends of a connection are worth an error: not the client's
// leaving, the server's draining, damage of the copy, or the stream's deletion.
func (t *tail) ended(ctx context.Context, err error) error {
	var no *stream.Rejection
	if ctx.Err() != nil || errors.Is(err, errTimeUp) || errors.Is(err, errDraining) || errors.Is(err, errGone) || isDamage(err) || errors.As(err, &no) {
		return nil
	}
	return err
}

// send writes the events of one chunk at once. What is the same for all readers
// of the chunk is made by the first of them.
func (t *tail) send(chunk *stream.Chunk) bool {
	t.cursor = max(t.cursor, t.server.currentCursor())
	kind := frameKind{t.encoding, chunk.UpToDate(), chunk.Ended()}
	if chunk.Memo != nil {
		f := sharedFrame(kind, chunk, t.cursor)
		if f.cursor == t.cursor || kind.ended {
			return t.write(f.text)
		}
		return t.sendBuffered(func(b []byte) []byte { return f.appendWith(b, t.cursor) })
	}
	return t.sendBuffered(func(b []byte) []byte {
		b = appendEvents(b, kind, chunk, t.cursor)
		if chunk.Free != nil {
			chunk.Free()
		}
		return b
	})
}

func (t *tail) sendBuffered(appendTo func([]byte) []byte) bool {
	buffer := t.server.buffers.Get().(*[]byte)
	b := appendTo((*buffer)[:0])
	ok := t.write(b)
	if ok && cap(b) <= bufferBytesKept { // HTTP/2 may still hold what it could not send
		*buffer = b
		t.server.buffers.Put(buffer)
	}
	return ok
}

// write reports whether the client took everything in time.
func (t *tail) write(b []byte) bool {
	t.limitWrite()
	if _, err := t.res.Write(b); err != nil {
		return false
	}
	if t.flusher.Flush() != nil {
		return false
	}
	if !t.keeps {
		t.setDeadline(time.Time{})
	}
	return true
}

// limitWrite gives a write at least SlowReaderTimeout. Setting a deadline costs
// as much as encoding an event, so one serves the writes of a while, unless the
// connection would not survive it: HTTP/2 ends a stream whose deadline passes
// while nothing is written. It is a time of the network, not of Config.Now.
func (t *tail) limitWrite() {
	now, slow := time.Now(), t.server.cfg.SlowReaderTimeout
	if t.keeps && t.deadline.Sub(now) >= slow {
		return
	}
	t.deadline = now.Add(slow + slow/4)
	t.setDeadline(t.deadline)
}

func (t *tail) setDeadline(at time.Time) {
	if w, ok := t.res.Writer.(writeDeadliner); ok {
		_ = w.SetWriteDeadline(at)
	}
}

// errGone says that the client does not take what is written.
var errGone = errors.New("client is gone or stuck")

// pause returns nil when there may be more to send.
func (t *tail) pause(ctx context.Context) error {
	if t.chunk.UpToDate() {
		return t.wait(ctx, t.end)
	}
	if err := t.left(ctx); err != nil {
		return err
	}
	now := t.server.cfg.Now()
	t.lease.renewIfDue(now)
	if !now.Before(t.end) {
		return errTimeUp
	}
	return nil
}

// wait sleeps, and shows meanwhile that the connection lives.
func (t *tail) wait(ctx context.Context, until time.Time) error {
	for {
		next := until
		if t.ping.Before(next) {
			next = t.ping
		}
		err := t.sleep(ctx, next)
		if !errors.Is(err, errTimeUp) {
			return err
		}
		now := t.server.cfg.Now()
		if !now.Before(until) {
			return errTimeUp
		}
		t.ping = now.Add(t.server.cfg.SSEKeepAlive)
		if !t.write(comment) {
			return errGone
		}
	}
}
