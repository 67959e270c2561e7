package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"mainstem/stream"
)

// errTimeUp says that a wait has reached its end with nothing to read.
var errTimeUp = errors.New("time is up")

// longPoll answers with what follows the offset as soon as there is something,
// or with 204 (§5.7).
func (s *Server) longPoll(c echo.Context, v *vantage, q *query, chunk stream.Chunk) error {
	if chunk.Len() == 0 && !chunk.Closed {
		var err error
		if chunk, err = s.awaitChunk(c, v, q, chunk); err != nil {
			return err
		}
	}
	if chunk.Len() > 0 {
		s.writeChunk(c, v, q, &chunk)
		return nil
	}
	h := c.Response().Header()
	h[headerCacheControl] = valNoStore
	setPosition(h, v, &chunk)
	if !chunk.Closed {
		h[headerCursor] = []string{strconv.FormatUint(s.cursor(q.cursor), 10)}
	}
	c.Response().WriteHeader(http.StatusNoContent)
	return nil
}

// awaitChunk waits for what follows an empty chunk. It returns an empty one
// when the time is up, or the stream closed with nothing more.
func (s *Server) awaitChunk(c echo.Context, v *vantage, q *query, chunk stream.Chunk) (stream.Chunk, error) {
	ctx, leave, err := s.enterLive(c.Request().Context(), s.metrics.longPoll)
	if err != nil {
		return chunk, err
	}
	defer leave()
	l := s.lease(q.name, &chunk.Info)
	until := s.cfg.Now().Add(s.cfg.LongPollTimeout)
	for chunk.Len() == 0 && !chunk.Closed {
		switch err := s.wait(ctx, &l, chunk.Next, until); {
		case err == nil:
		case errors.Is(err, errTimeUp):
			return s.lastLook(c.Request().Context(), v, q, chunk)
		case s.isDraining() && c.Request().Context().Err() == nil:
			return chunk, nil // nothing has come yet, and the fence of the start holds
		default:
			return chunk, err
		}
		if chunk, err = s.reader.Read(q.name, stream.FromOffset(chunk.Next), s.cfg.ChunkBytes); err != nil {
			return chunk, err
		}
	}
	return chunk, nil
}

// lastLook makes sure that a 204, which says that the client is up to date, is
// true now and not only when the poll began.
func (s *Server) lastLook(ctx context.Context, v *vantage, q *query, chunk stream.Chunk) (stream.Chunk, error) {
	v.fenced = false
	if err := v.fence(ctx); err != nil {
		return chunk, notCurrent(err)
	}
	return s.reader.Read(q.name, stream.FromOffset(chunk.Next), s.cfg.ChunkBytes)
}

// enterLive counts a reader that is going to wait. The context it returns ends
// with the request, or some time after draining began; leave must be called.
func (s *Server) enterLive(ctx context.Context, gauge prometheus.Gauge) (live context.Context, leave func(), err error) {
	if s.live.Add(1) > int64(s.cfg.LiveReadersMax) {
		s.live.Add(-1)
		return nil, nil, errCrowded
	}
	gauge.Inc()
	live, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.draining, func() {
		pause := time.NewTimer(s.partingPause())
		defer pause.Stop()
		select {
		case <-pause.C:
			cancel()
		case <-live.Done():
		}
	})
	return live, func() {
		stop()
		cancel()
		gauge.Dec()
		s.live.Add(-1)
	}, nil
}

// wait returns nil when there is something to read at an offset, errTimeUp when
// until has come, or another error: the context's, or the copy's. Meanwhile it
// keeps the stream alive.
func (s *Server) wait(ctx context.Context, l *lease, at stream.Offset, until time.Time) error {
	for {
		now := s.cfg.Now()
		if !now.Before(until) {
			return errTimeUp
		}
		l.renewIfDue(now)
		next := until
		if l.window > 0 && l.next.Before(next) {
			next = l.next
		}
		step, cancel := context.WithTimeout(ctx, next.Sub(now))
		err := s.reader.Wait(step, l.name, at)
		timedOut := step.Err() != nil
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !timedOut:
			return err
		}
	}
}
