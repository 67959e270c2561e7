package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
)

// trim answers PATCH, which moves the horizon of a stream: what lies before the
// offset in Stream-Retention-Horizon goes. A server that does not know of this
// refuses the method, so that nothing can be mistaken.
func (s *Server) trim(c echo.Context) (operation, error) {
	r := c.Request()
	name, err := s.nameOf(c)
	if err != nil {
		return opTrim, err
	}
	text, ok, err := once(r.Header, headerRetentionHorizon)
	if err != nil {
		return opTrim, err
	}
	const mend = "send the Stream-Next-Offset before which the stream's data may go"
	if !ok {
		return opTrim, malformed(headerRetentionHorizon, "is missing", mend)
	}
	to, err := stream.ParseOffset(text)
	if err != nil {
		return opTrim, malformed(headerRetentionHorizon, "is no offset", mend)
	}
	out, err := s.submit(r.Context(), stream.Trim{Name: name, To: &to})
	if err != nil {
		return opTrim, err
	}
	h := c.Response().Header()
	h[headerNextOffset] = []string{out.Next.String()}
	h[headerRetentionHorizon] = []string{out.Horizon.String()}
	if out.Closed {
		h[headerClosed] = valTrue
	}
	c.Response().WriteHeader(http.StatusNoContent)
	return opTrim, nil
}

func retention(h http.Header) (stream.Retention, error) {
	bytes, err := optional(h, headerRetentionBytes)
	if err != nil {
		return stream.Retention{}, err
	}
	age, err := optional(h, headerRetentionAge)
	if err != nil {
		return stream.Retention{}, err
	}
	return stream.ParseRetention(bytes, age)
}

// setRetention tells what a stream keeps, and where it begins by now.
func setRetention(h http.Header, info *stream.Info) {
	if bytes := info.Retention.BytesText(); bytes != "" {
		h[headerRetentionBytes] = []string{bytes}
	}
	if age := info.Retention.AgeText(); age != "" {
		h[headerRetentionAge] = []string{age}
	}
	if info.Trimmed {
		h[headerRetentionHorizon] = []string{info.Start.String()}
	}
}
