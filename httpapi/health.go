package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Paths of this package that are no streams.
const (
	pathLive    = "/livez"
	pathReady   = "/readyz"
	pathHealth  = "/healthz"
	pathMetrics = "/metrics"
	pathStatus  = "/v1/cluster/status"
	pathStreams = "/v1/streams"
)

var textOK = []byte("ok\n")

// healthy says that the process is alive. It asks nobody.
func (s *Server) healthy(c echo.Context) (operation, error) {
	s.writePlain(c, valText, textOK)
	return opHealth, nil
}

// ready says whether requests should be sent here.
func (s *Server) ready(c echo.Context) (operation, error) {
	if s.isDamaged() {
		return opHealth, errDamaged
	}
	if s.unlisted.Load() || s.isDraining() {
		return opHealth, &problem{answer: answer{http.StatusServiceUnavailable, codeUnavailable, "DRAINING"}, detail: "this node is stopping"}
	}
	if err := s.cluster.Ready(); err != nil {
		return opHealth, &problem{answer: answer{http.StatusServiceUnavailable, codeUnavailable, "NOT_READY"}, detail: err.Error()}
	}
	s.writePlain(c, valText, textOK)
	return opHealth, nil
}

// status shows how this node sees the cluster.
func (s *Server) status(c echo.Context) (operation, error) {
	body, err := json.MarshalIndent(s.cluster.Status(c.Request().Context()), "", "  ")
	if err != nil {
		return opStatus, err
	}
	s.writePlain(c, valJSON, append(body, '\n'))
	return opStatus, nil
}

func (s *Server) writePlain(c echo.Context, contentType []string, body []byte) {
	h := c.Response().Header()
	h[headerContentType] = contentType
	h[headerCacheControl] = valNoStore
	h[headerContentLength] = []string{strconv.Itoa(len(body))}
	c.Response().WriteHeader(http.StatusOK)
	_, _ = c.Response().Write(body) // a client that has left needs no answer
}

func (s *Server) showMetrics(c echo.Context) (operation, error) {
	promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{}).ServeHTTP(c.Response(), c.Request())
	return opMetrics, nil
}
