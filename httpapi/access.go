package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"mainstem/auth"
	"mainstem/stream"
)

// Access decides whom a request comes from. It may change the request's headers.
type Access interface {
	Admit(r *http.Request) (*auth.Identity, *auth.Refusal)
}

// need is one thing that a request asks to do: with one stream, or with all that
// a pattern matches.
type need struct {
	action  auth.Action
	name    stream.Name // "" for Admin, and with a pattern
	pattern *stream.Pattern
	some    bool   // with any stream at all; the handler asks about each
	what    string // for the refusal; "" for what the refused may not know, or sees in the path
}

// met tells whether an identity may do it.
func (n need) met(id *auth.Identity) bool {
	switch {
	case n.pattern != nil:
		return id.MayAll(n.action, *n.pattern)
	case n.some:
		return id.MaySome(n.action)
	}
	return id.May(n.action, n.name)
}

func (n need) String() string {
	if n.what == "" {
		return n.action.String() + " here"
	}
	return n.action.String() + " " + n.what
}

// needs tells what a request asks to do. Every route has one; that of routes which
// are open to everybody, known or not, is everyone.
type needs func(*Server, *call) ([]need, error)

var everyone needs // nil

func administration(*Server, *call) ([]need, error) {
	return []need{{action: auth.Admin}}, nil
}

// listsStreams asks to read some streams: what is listed is only what may be read.
func listsStreams(*Server, *call) ([]need, error) {
	return []need{{action: auth.Read, some: true}}, nil
}

// readable returns which streams a request for some streams may know of.
func readable(c echo.Context) func(stream.Name) bool {
	id := callOf(c).identity
	return func(name stream.Name) bool { return id == nil || id.May(auth.Read, name) }
}

func readsStream(s *Server, k *call) ([]need, error)   { return s.theStream(k, auth.Read) }
func deletesStream(s *Server, k *call) ([]need, error) { return s.theStream(k, auth.Delete) }

func appendsToStream(s *Server, k *call) ([]need, error) {
	closes, err := wantsClosed(k.Request().Header)
	if err != nil {
		return nil, err
	}
	if closes {
		return s.theStream(k, auth.Append, auth.Close)
	}
	return s.theStream(k, auth.Append)
}

// createsStream asks to read the source of a fork too: its content can be read
// through the fork.
func createsStream(s *Server, k *call) ([]need, error) {
	list, err := s.theStream(k, auth.Create)
	if err != nil {
		return nil, err
	}
	fork, err := s.forkOf(k)
	if err != nil || fork == nil {
		return list, err
	}
	return append(list, need{action: auth.Read, name: fork.Source, what: "the source of the fork"}), nil
}

func (s *Server) theStream(k *call, actions ...auth.Action) (list []need, err error) {
	name, err := s.nameOf(k)
	if err != nil {
		return nil, err
	}
	for _, a := range actions {
		list = append(list, need{action: a, name: name})
	}
	return list, nil
}

// identify finds out whom a request comes from. That is the first thing which is
// asked, so that nobody unknown learns anything, not even what is wrong with the
// request.
func (s *Server) identify(k *call, asks needs) error {
	if s.cfg.Access == nil || asks == nil {
		return nil
	}
	id, no := s.cfg.Access.Admit(k.Request())
	if no != nil {
		return &notAdmitted{no}
	}
	k.identity = id
	return nil
}

// permit is the one place where it is decided whether a request may do what it
// asks for.
func (s *Server) permit(k *call, asks needs) error {
	if s.cfg.Access == nil || asks == nil {
		return nil
	}
	list, err := asks(s, k)
	if err != nil {
		return err
	}
	for _, n := range list {
		if !n.met(k.identity) {
			return &problem{answer: answer{http.StatusForbidden, codeForbidden, "NOT_ALLOWED"},
				detail: fmt.Sprintf("%s has no right to %s; nothing was read or written", k.identity.Name, n)}
		}
	}
	return nil
}

// notAdmitted is an auth.Refusal on its way to its answer.
type notAdmitted struct{ *auth.Refusal }

// writeRefusal answers a request that was not admitted.
func (s *Server) writeRefusal(c echo.Context, no *auth.Refusal) {
	if no.Cause != nil {
		s.log.Warn("a credential could not be checked", "err", no.Cause)
	}
	h := c.Response().Header()
	if a := no.Answer; a != nil {
		for name, values := range a.Header {
			if _, own := h[name]; !own { // what every answer of ours carries stays
				h[name] = values
			}
		}
		h[headerCacheControl] = valNoStore
		h.Del(headerContentLength)
		c.Response().WriteHeader(no.Status)
		_, _ = c.Response().Write(a.Body) // a client that has left needs no answer
		return
	}
	a := answer{no.Status, codeUnauthorized, no.Reason}
	if no.Status == http.StatusServiceUnavailable {
		a.code = codeUnavailable
	} else {
		h["Www-Authenticate"] = valBearer
	}
	s.writeProblem(c, a, no.Detail)
}

// asRefusal finds the refusal in an error.
func asRefusal(err error) (*auth.Refusal, bool) {
	var no *notAdmitted
	if errors.As(err, &no) {
		return no.Refusal, true
	}
	return nil, false
}
