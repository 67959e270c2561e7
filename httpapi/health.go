package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// pathStreams lists the streams; the other paths that are no streams are package
// operator's.
const pathStreams = "/v1/streams"

var textOK = []byte("ok\n")

// alive says that the process is. It asks nobody.
func (s *Server) alive(c echo.Context) (operation, error) {
	s.writePlain(c, valText, textOK)
	return opHealth, nil
}

// healthy says that the process is alive, and with ?cluster whether the cluster
// bears the loss of a node.
func (s *Server) healthy(c echo.Context) (operation, error) {
	if !c.Request().URL.Query().Has("cluster") {
		return s.alive(c)
	}
	return s.examine(c, "CLUSTER_NOT_HEALTHY", s.cluster.ClusterChecks())
}

var errDrains = &problem{answer: answer{http.StatusServiceUnavailable, codeUnavailable, "DRAINING"}, detail: "this node is stopping"}

// ready says whether requests should be sent here.
func (s *Server) ready(c echo.Context) (operation, error) {
	reads, listed := Check{Name: "reads"}, Check{Name: "listed"}
	if s.isDamaged() {
		reads.Err = errDamaged
	}
	if s.unlisted.Load() || s.isDraining() {
		listed.Err = errDrains
	}
	return s.examine(c, "NOT_READY", append([]Check{reads, listed}, s.cluster.Checks()...))
}

// examine answers 503 when a check fails. With ?verbose it lists all.
func (s *Server) examine(c echo.Context, reason string, checks []Check) (operation, error) {
	first := slices.IndexFunc(checks, func(c Check) bool { return c.Err != nil })
	if c.Request().URL.Query().Has("verbose") {
		s.listChecks(c, checks, first < 0)
		return opHealth, nil
	}
	if first < 0 {
		return s.alive(c)
	}
	var known *problem
	if errors.As(checks[first].Err, &known) {
		return opHealth, known
	}
	return opHealth, &problem{answer: answer{http.StatusServiceUnavailable, codeUnavailable, reason}, detail: checks[first].Err.Error()}
}

// listChecks shows every check on a line of its own.
func (s *Server) listChecks(c echo.Context, checks []Check, pass bool) {
	var b bytes.Buffer
	for _, check := range checks {
		if check.Err != nil {
			fmt.Fprintf(&b, "[-] %s: %v\n", check.Name, check.Err)
			continue
		}
		fmt.Fprintf(&b, "[+] %s\n", check.Name)
	}
	if pass {
		b.Write(textOK)
		s.writePlain(c, valText, b.Bytes())
		return
	}
	b.WriteString("failed\n")
	c.Response().Header()[headerRetryAfter] = valRetryAfter
	s.writeStatus(c, http.StatusServiceUnavailable, valText, b.Bytes())
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
	s.writeStatus(c, http.StatusOK, contentType, body)
}

func (s *Server) writeStatus(c echo.Context, status int, contentType []string, body []byte) {
	h := c.Response().Header()
	h[headerContentType] = contentType
	h[headerCacheControl] = valNoStore
	h[headerContentLength] = []string{strconv.Itoa(len(body))}
	c.Response().WriteHeader(status)
	_, _ = c.Response().Write(body) // a client that has left needs no answer
}

func (s *Server) showMetrics(c echo.Context) (operation, error) {
	promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{}).ServeHTTP(c.Response(), c.Request())
	return opMetrics, nil
}
