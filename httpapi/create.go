package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
)

// create answers PUT: §5.1, and §4.2 for forks.
func (s *Server) create(c echo.Context) (operation, error) {
	cmd, err := s.parseCreate(c)
	if err != nil {
		return opCreate, err
	}
	out, err := s.submit(c.Request().Context(), cmd)
	if err != nil {
		return opCreate, err
	}
	h := c.Response().Header()
	h[headerContentType] = []string{string(out.ContentType)}
	h[headerNextOffset] = []string{out.Next.String()}
	if out.Closed {
		h[headerClosed] = valTrue
	}
	status := http.StatusOK
	if out.Created {
		h[headerLocation] = []string{location(c.Request())}
		status = http.StatusCreated
	}
	c.Response().WriteHeader(status)
	return opCreate, nil
}

func (s *Server) parseCreate(c echo.Context) (cmd stream.Create, err error) {
	r := c.Request()
	if cmd.Name, err = s.nameOf(c); err != nil {
		return cmd, err
	}
	if err := s.limitName(cmd.Name); err != nil {
		return cmd, err
	}
	if cmd.ContentType, err = contentType(r.Header); err != nil {
		return cmd, err
	}
	if cmd.Lifetime, err = lifetime(r.Header); err != nil {
		return cmd, err
	}
	if cmd.Retention, err = retention(r.Header); err != nil {
		return cmd, err
	}
	if cmd.Closed, err = wantsClosed(r.Header); err != nil {
		return cmd, err
	}
	if cmd.Fork, err = s.forkOf(c); err != nil {
		return cmd, err
	}
	body, err := s.body(c, nil)
	if err != nil {
		return cmd, err
	}
	if cmd.Fork != nil && cmd.ContentType == "" && len(body) > 0 {
		cmd.Body = stream.Payload{Data: body, Raw: true} // its type is the source's, which only the log knows
		return cmd, nil
	}
	framing := cmd.ContentType
	if framing == "" {
		framing = stream.DefaultContentType
	}
	cmd.Body, err = stream.Frame(framing, body)
	return cmd, err
}

// limitName judges the name of a new stream. Those that there are already are
// found by whatever name they have.
func (s *Server) limitName(name stream.Name) error {
	if most := s.cfg.NameBytesMax; len(name) > most {
		return &stream.Rejection{Code: stream.NameTooLong, Detail: fmt.Sprintf("the stream name is longer than %d bytes; use a shorter path", most)}
	}
	if most := s.cfg.NameSegmentsMax; most > 0 && strings.Count(string(name), "/") >= most {
		return &stream.Rejection{Code: stream.NameTooLong, Detail: fmt.Sprintf("the stream name has more than %d segments; use a path that is less deep", most)}
	}
	return nil
}

func contentType(h http.Header) (stream.ContentType, error) {
	value, err := optional(h, headerContentType)
	if err != nil || value == nil {
		return "", err
	}
	return stream.ParseContentType(*value)
}

func lifetime(h http.Header) (stream.Lifetime, error) {
	ttl, err := optional(h, headerTTL)
	if err != nil {
		return stream.Lifetime{}, err
	}
	expiresAt, err := optional(h, headerExpiresAt)
	if err != nil {
		return stream.Lifetime{}, err
	}
	return stream.ParseLifetime(ttl, expiresAt)
}

// wantsClosed reads Stream-Closed, which counts only when it says true (§4.1);
// any other value is as good as none.
func wantsClosed(h http.Header) (bool, error) {
	value, err := optional(h, headerClosed)
	return value != nil && strings.EqualFold(*value, "true"), err
}

// parseFork parses the headers that make a creation a fork. It returns nil for
// an ordinary one; see forkOf.
func (s *Server) parseFork(r *http.Request) (*stream.Fork, error) {
	source, isFork, err := once(r.Header, headerForkedFrom)
	if err != nil {
		return nil, err
	}
	offset, hasOffset, err := once(r.Header, headerForkOffset)
	if err != nil {
		return nil, err
	}
	sub, hasSub, err := once(r.Header, headerForkSubOffset)
	if err != nil {
		return nil, err
	}
	switch {
	case !isFork && hasOffset:
		return nil, malformed(headerForkOffset, "comes without Stream-Forked-From", "name the source too")
	case !isFork && hasSub:
		return nil, malformed(headerForkSubOffset, "comes without Stream-Forked-From", "name the source too")
	case !isFork:
		return nil, nil
	}
	fork := &stream.Fork{}
	if fork.Source, err = s.sourceOf(r, source); err != nil {
		return nil, err
	}
	if hasOffset {
		at, err := stream.ParseOffset(offset)
		if err != nil {
			return nil, &stream.Rejection{Code: stream.BadOffset,
				Detail: "Stream-Fork-Offset is malformed; use a Stream-Next-Offset of the source, or 0000000000000000_0000000000000000 for its start"}
		}
		fork.Offset = &at
	}
	if hasSub {
		if fork.SubOffset, err = parseSubOffset(sub, hasOffset); err != nil {
			return nil, err
		}
	}
	return fork, nil
}

func parseSubOffset(value string, hasOffset bool) (uint64, error) {
	n, ok := stream.ParseInteger(value)
	if !ok || len(value) > 1 && value[0] == '0' {
		return 0, &stream.Rejection{Code: stream.BadSubOffset,
			Detail: "Stream-Fork-Sub-Offset is not a whole number without sign, point or leading zero"}
	}
	if n > 0 && !hasOffset {
		return 0, &stream.Rejection{Code: stream.BadSubOffset,
			Detail: "Stream-Fork-Sub-Offset comes without Stream-Fork-Offset; nothing follows the tail of the source"}
	}
	return n, nil
}

// sourceOf returns the stream that Stream-Forked-From names: a path on this
// server, as a client sees it.
func (s *Server) sourceOf(r *http.Request, path string) (stream.Name, error) {
	rest, ok := strings.CutPrefix(path, mountOf(r)+s.base)
	if !ok {
		rest, ok = strings.CutPrefix(path, s.base)
	}
	if !ok {
		return "", malformed(headerForkedFrom, "is not the path of a stream on this server", "write the path that the source was created with, such as "+s.base+"my-stream")
	}
	return stream.ParseName(rest)
}

// mountOf is the prefix under which this handler is mounted, and which it does
// not see: what http.StripPrefix took away.
func mountOf(r *http.Request) string {
	outer := outerPath(r)
	mount, ok := strings.CutSuffix(outer, r.URL.EscapedPath())
	if !ok {
		return ""
	}
	return mount
}

// outerPath is the path as the client sent it.
func outerPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(path, "/") { // a request to a proxy, or one that was never sent
		return r.URL.EscapedPath()
	}
	return path
}

// location is the absolute URL of the stream that a request created.
func location(r *http.Request) string {
	if r.Host == "" {
		return outerPath(r)
	}
	scheme := "http://"
	if proto := r.Header[headerForwardedProto]; r.TLS != nil || len(proto) == 1 && strings.EqualFold(proto[0], "https") {
		scheme = "https://"
	}
	return scheme + r.Host + outerPath(r)
}
