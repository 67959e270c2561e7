package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
)

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
		return s.writeChunk(c, v, q, &chunk)
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
	f, err := s.follow(q.name, &chunk.Info, s.metrics.longPoll)
	if err != nil {
		return chunk, err
	}
	defer f.close()
	ctx := c.Request().Context()
	until := s.cfg.Now().Add(s.cfg.LongPollTimeout)
	for chunk.Len() == 0 && !chunk.Closed {
		switch err := f.sleep(ctx, until); {
		case err == nil:
		case errors.Is(err, errTimeUp):
			return s.lastLook(ctx, v, q, chunk)
		case errors.Is(err, errDraining) && s.isDamaged():
			return chunk, errDamaged
		case errors.Is(err, errDraining):
			return chunk, nil // nothing has come yet, and the fence of the start holds
		default:
			return chunk, err
		}
		if chunk, err = f.look(chunk.Next, s.cfg.ChunkBytes); err != nil {
			return chunk, err
		}
	}
	s.metrics.delivered(f.woken)
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
