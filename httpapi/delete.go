package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
)

// delete answers DELETE: §5.4.
func (s *Server) delete(c echo.Context) (operation, error) {
	r := c.Request()
	name, err := s.nameOf(c)
	if err != nil {
		return opDelete, err
	}
	out, err := s.submit(r.Context(), stream.Delete{Name: name})
	if err != nil {
		return opDelete, err
	}
	h := c.Response().Header()
	h[headerNextOffset] = []string{out.Next.String()}
	if out.Closed {
		h[headerClosed] = valTrue
	}
	c.Response().WriteHeader(http.StatusNoContent)
	return opDelete, nil
}
