package httpapi

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
)

// timedWriter is a Writer that can tell how long each stage took.
type timedWriter interface {
	SubmitTimed(ctx context.Context, c stream.Command, note func(stage string, took time.Duration)) (stream.Result, error)
}

// submitTimed is submit. A client that says Stream-Timing: true is told in
// Server-Timing where the time of its append went, whatever the answer is.
func (s *Server) submitTimed(c echo.Context, cmd stream.Command) (stream.Outcome, error) {
	r, h := c.Request(), c.Response().Header()
	asked, w := s.timed(r.Header[headerTiming])
	if !asked {
		return s.submit(r.Context(), cmd)
	}
	begin, stages := time.Now(), []byte(nil)
	add := func(stage string, took time.Duration) {
		if len(stages) > 0 {
			stages = append(stages, ", "...)
		}
		stages = append(append(stages, stage...), ";dur="...)
		stages = strconv.AppendFloat(stages, float64(took.Microseconds())/1000, 'f', 3, 64)
	}
	result, err := w.SubmitTimed(r.Context(), cmd, add)
	add("total", time.Since(begin))
	h[headerServerTiming] = []string{string(stages)}
	return decided(result, err)
}

// timed tells whether stages are asked for, and who can tell them.
func (s *Server) timed(values []string) (bool, timedWriter) {
	if len(values) != 1 || !strings.EqualFold(values[0], "true") {
		return false, nil
	}
	w, ok := s.writer.(timedWriter)
	return ok, w
}
