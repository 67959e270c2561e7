package httpapi

import (
	"github.com/labstack/echo/v4"

	"mainstem/auth"
	"mainstem/stream"
	"mainstem/subs"
)

// call is one request on its way through serve. What several stations of that way
// want to know of it is found out once, so that what was decided about and what is
// done cannot differ.
type call struct {
	echo.Context
	server    *Server
	operation operation
	identity  *auth.Identity // who was let in; nil while everyone is
	buckets   *buckets       // of the client; nil while nothing is counted
	incoming  int64          // bytes held of Server.incoming
	outgoing  int64          // bytes held of Server.outgoing

	name      stream.Name // of the path, once named
	named     bool
	fork      *stream.Fork // of the headers, once forkRead; nil for no fork
	forkRead  bool
	config    *subs.Config  // of the body of a PUT of a subscription; nil while not read
	following []stream.Name // of the body of a POST of streams to one; nil while not read
}

// callOf is the call that a handler was given: serve makes them all.
func callOf(c echo.Context) *call { return c.(*call) }

// nameOf returns the stream that a request is about.
func (s *Server) nameOf(c echo.Context) (stream.Name, error) {
	k := callOf(c)
	if k.named {
		return k.name, nil
	}
	name, err := s.parseName(k.Request())
	if err != nil {
		return "", err
	}
	k.name, k.named = name, true
	return name, nil
}

// forkOf returns the fork that a creation asks for, nil for none.
func (s *Server) forkOf(c echo.Context) (*stream.Fork, error) {
	k := callOf(c)
	if k.forkRead {
		return k.fork, nil
	}
	fork, err := s.parseFork(k.Request())
	if err != nil {
		return nil, err
	}
	k.fork, k.forkRead = fork, true
	return fork, nil
}
