package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// head answers HEAD: §5.5. It does not renew the stream's lifetime.
func (s *Server) head(c echo.Context) (operation, error) {
	r, h := c.Request(), c.Response().Header()
	name, err := s.nameOf(c)
	if err != nil {
		return opHead, err
	}
	v, err := s.vantage(r, h)
	if err != nil {
		return opHead, err
	}
	info, err := v.info(r.Context(), name)
	if err == nil {
		err = v.confirm(r.Context(), name, &info)
	}
	if err != nil {
		return opHead, err
	}
	h[headerCacheControl] = valNoStore
	h[headerContentType] = []string{string(info.ContentType)}
	h[headerNextOffset] = []string{info.Tail.String()}
	tag := infoETag(&info)
	h[headerETag] = []string{tag}
	if ttl := info.Lifetime.TTLText(); ttl != "" {
		h[headerTTL] = []string{ttl}
	}
	if at := info.Lifetime.ExpiresAtText(); at != "" {
		h[headerExpiresAt] = []string{at}
	}
	setRetention(h, &info)
	if info.Closed {
		h[headerClosed] = valTrue
	}
	status := http.StatusOK
	if matches(r.Header[headerIfNoneMatch], tag) {
		status = http.StatusNotModified
	}
	c.Response().WriteHeader(status)
	return opHead, nil
}
