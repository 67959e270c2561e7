package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

const allowedMethods = "GET, HEAD, PUT, POST, PATCH, DELETE, OPTIONS"

// Headers that pages of other origins may send and read.
var (
	corsRequestHeaders = strings.Join([]string{
		"Content-Type", "Authorization", "If-Match", "If-None-Match", "Last-Event-ID", "Cache-Control",
		"Stream-TTL", "Stream-Expires-At", "Stream-Seq", "Stream-Closed", "Stream-Forked-From",
		"Stream-Fork-Offset", "Stream-Fork-Sub-Offset", "Stream-Read-Consistency",
		"Producer-Id", "Producer-Epoch", "Producer-Seq", "Traceparent", "Tracestate",
		"Stream-Retention-Bytes", "Stream-Retention-Age", "Stream-Retention-Horizon", "Stream-Timing",
	}, ", ")
	corsResponseHeaders = strings.Join([]string{
		"Content-Type", "Content-Length", "ETag", "Location", "Retry-After", "Allow",
		"Stream-Next-Offset", "Stream-Up-To-Date", "Stream-Closed", "Stream-Cursor",
		"Stream-TTL", "Stream-Expires-At", "Stream-SSE-Data-Encoding", "Stream-Staleness",
		"Producer-Epoch", "Producer-Seq", "Producer-Expected-Seq", "Producer-Received-Seq",
		"Stream-Retention-Bytes", "Stream-Retention-Age", "Stream-Retention-Horizon", "Server-Timing",
	}, ", ")
)

// Headers of every answer, §12.7 and CORS.
var (
	valNosniff     = []string{"nosniff"}
	valCrossOrigin = []string{"cross-origin"}
	valAnyOrigin   = []string{"*"}
	valVaryOrigin  = []string{"Origin"}

	valVaryCredential = []string{"Authorization, Cookie"}
	valVaryBoth       = []string{"Origin, Authorization, Cookie"}

	valExpose  = []string{corsResponseHeaders}
	valAllowed = []string{corsRequestHeaders}
	valMethods = []string{allowedMethods}
	valDay     = []string{"86400"}
)

// origins are those whose pages may call; nil is any.
type origins []string

func newOrigins(configured []string) origins {
	if slices.Contains(configured, "*") {
		return nil
	}
	return configured
}

// stamp sets what every answer carries, before its handler runs, so that errors
// carry it too.
func (s *Server) stamp(c echo.Context) {
	r, h := c.Request(), c.Response().Header()
	h["X-Content-Type-Options"] = valNosniff
	h["Cross-Origin-Resource-Policy"] = valCrossOrigin
	s.stampOrigin(r, h)
	if s.isDraining() {
		h[headerConnection] = valClose
	}
}

// stampOrigin lets pages of other origins see the answer. Answers to reads may
// be cached and shown to a page later, so they say it even if nobody asked;
// others only to a browser.
func (s *Server) stampOrigin(r *http.Request, h http.Header) {
	origin := r.Header[headerOrigin]
	if len(origin) == 0 && r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions {
		return
	}
	allow := valAnyOrigin
	if s.origins != nil {
		h[headerVary] = valVaryOrigin
		if len(origin) != 1 || !slices.Contains(s.origins, origin[0]) {
			return
		}
		allow = origin[:1]
	}
	h["Access-Control-Allow-Origin"] = allow
	h["Access-Control-Expose-Headers"] = valExpose
}

// preflight answers OPTIONS, which comes without credentials and asks only
// what a page may do.
func (s *Server) preflight(c echo.Context) (operation, error) {
	h := c.Response().Header()
	if _, ok := h["Access-Control-Allow-Origin"]; ok {
		h["Access-Control-Allow-Methods"] = valMethods
		h["Access-Control-Allow-Headers"] = valAllowed
		h["Access-Control-Max-Age"] = valDay
	}
	h[headerAllow] = valMethods
	c.Response().WriteHeader(http.StatusNoContent)
	return opPreflight, nil
}
