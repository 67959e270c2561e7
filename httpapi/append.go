package httpapi

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
)

// seqBytesMax bounds Stream-Seq, which is kept with the stream.
const seqBytesMax = 1024

// append answers POST: §5.2, §5.2.1 and §5.3.
func (s *Server) append(c echo.Context) (operation, error) {
	room := s.takeBuffer()
	defer s.giveBack(room)
	cmd, err := s.parseAppend(c, room)
	if err != nil {
		return opAppend, err
	}
	out, err := s.submitTimed(c, cmd)
	if cmd.Producer != nil {
		s.metrics.judged(out, err)
	}
	if err != nil {
		return opAppend, err
	}
	h := c.Response().Header()
	h[headerNextOffset] = []string{out.Next.String()}
	if out.Closed {
		h[headerClosed] = valTrue
	}
	status := http.StatusNoContent
	if p := out.Producer; p != nil {
		h[headerProducerEpoch] = []string{strconv.FormatUint(p.Epoch, 10)}
		h[headerProducerSeq] = []string{strconv.FormatUint(p.LastSeq, 10)}
		if !out.Duplicate && !cmd.Body.Empty() {
			status = http.StatusOK // §5.2.1: new data, where 204 means a duplicate
		}
	}
	c.Response().WriteHeader(status)
	return opAppend, nil
}

// parseAppend makes a command whose bytes may lie in room.
func (s *Server) parseAppend(c echo.Context, room *bodyBuffer) (cmd stream.Append, err error) {
	r := c.Request()
	if cmd.Name, err = s.nameOf(c); err != nil {
		return cmd, err
	}
	if cmd.Close, err = wantsClosed(r.Header); err != nil {
		return cmd, err
	}
	if cmd.Seq, err = seq(r.Header); err != nil {
		return cmd, err
	}
	if cmd.Producer, err = producer(r.Header); err != nil {
		return cmd, err
	}
	if cmd.IfMatch, err = ifMatch(r.Header); err != nil {
		return cmd, err
	}
	body, err := s.body(c, room)
	if err != nil {
		return cmd, err
	}
	if len(body) == 0 {
		if !cmd.Close {
			return cmd, &stream.Rejection{Code: stream.EmptyBody}
		}
		return cmd, nil // §5.3: to close without data needs no content type, and a wrong one is ignored
	}
	if cmd.ContentType, err = contentType(r.Header); err != nil {
		return cmd, err
	}
	if cmd.ContentType == "" {
		return cmd, &stream.Rejection{Code: stream.MissingContentType}
	}
	if cmd.Body, err = stream.Frame(cmd.ContentType, body); err != nil {
		return cmd, err
	}
	if cmd.Body.Empty() {
		return cmd, &stream.Rejection{Code: stream.EmptyArray}
	}
	return cmd, nil
}

func seq(h http.Header) (string, error) {
	value, _, err := once(h, headerSeq)
	if err == nil && len(value) > seqBytesMax {
		err = malformed(headerSeq, "is longer than 1024 bytes", "send a shorter sequence")
	}
	return value, err
}

func producer(h http.Header) (*stream.Producer, error) {
	id, err := optional(h, headerProducerID)
	if err != nil {
		return nil, err
	}
	epoch, err := optional(h, headerProducerEpoch)
	if err != nil {
		return nil, err
	}
	seq, err := optional(h, headerProducerSeq)
	if err != nil {
		return nil, err
	}
	return stream.ParseProducer(id, epoch, seq)
}
