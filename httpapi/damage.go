package httpapi

import (
	"context"
	"errors"
	"net/http"

	"mainstem/stream"
)

// errDamaged is the answer of a node that must not be read. It is taken by
// clients for what it is: ask another node.
var errDamaged = &problem{answer: answer{http.StatusServiceUnavailable, codeUnavailable, "REPLICA_DAMAGED"},
	detail: "this node's copy is damaged and is not read until the node has been filled anew; writes are passed on, and other nodes serve reads"}

// soundReader is a Reader that gives nothing once its copy is known to be
// damaged, not even the error that showed it.
type soundReader struct {
	Reader
	damaged <-chan struct{}
}

// judged replaces an answer of a copy that is damaged by now.
func (r soundReader) judged(err error) error {
	select {
	case <-r.damaged:
	default:
		return err
	}
	var no *stream.Rejection
	if err == nil || errors.As(err, &no) {
		return errDamaged
	}
	return &problem{answer: errDamaged.answer, detail: errDamaged.detail, cause: err}
}

func (r soundReader) Info(name stream.Name) (stream.Info, bool, error) {
	info, ok, err := r.Reader.Info(name)
	return info, ok, r.judged(err)
}

func (r soundReader) Read(name stream.Name, from stream.From, limit int) (stream.Chunk, error) {
	chunk, err := r.Reader.Read(name, from, limit)
	return chunk, r.judged(err)
}

func (r soundReader) EachEnd(name stream.Name, chunk *stream.Chunk, visit func(stream.Offset)) error {
	return r.judged(r.Reader.EachEnd(name, chunk, visit))
}

func (r soundReader) List(prefix string, after stream.Name, visit func(stream.Name, *stream.State) bool) error {
	return r.judged(r.Reader.List(prefix, after, visit))
}

func (r soundReader) Follow(name stream.Name) (func(stream.From, int) (stream.Chunk, <-chan struct{}, error), func()) {
	look, leave := r.Reader.Follow(name)
	return func(from stream.From, limit int) (stream.Chunk, <-chan struct{}, error) {
		chunk, bell, err := look(from, limit)
		return chunk, bell, r.judged(err)
	}, leave
}

func (s *Server) isDamaged() bool {
	select {
	case <-s.cfg.Damaged:
		return true
	default:
		return false
	}
}

// isDamage reports an error that a soundReader made.
func isDamage(err error) bool {
	var p *problem
	return errors.As(err, &p) && p.reason == errDamaged.reason
}

// sendAwayWhenDamaged ends the live readers of a copy that is found damaged, so
// that they come to another node.
func (s *Server) sendAwayWhenDamaged(ctx context.Context) {
	select {
	case <-s.cfg.Damaged:
		s.Drain()
	case <-ctx.Done():
	}
}
