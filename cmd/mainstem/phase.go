package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// phase is the step of a start in which it failed. The names are those that
// users of the Rust server know, with two of ours.
type phase string

const (
	phaseLoad     phase = "load_config"
	phaseValidate phase = "validate_config"
	phaseTLSFiles phase = "check_tls_files"
	phaseTLS      phase = "build_tls_context"
	phaseBind     phase = "bind_listener"
	phaseOpen     phase = "open_storage"
	phaseJoin     phase = "join_cluster"
	phaseStart    phase = "start_server"
)

// startError is a failure of one phase.
type startError struct {
	phase phase
	err   error
}

func (e *startError) Error() string { return fmt.Sprintf("[%s] %s", e.phase, e.err) }
func (e *startError) Unwrap() error { return e.err }

// in marks an error with the phase it belongs to; nil stays nil.
func (p phase) in(err error) error {
	if err == nil {
		return nil
	}
	return &startError{phase: p, err: err}
}

// report writes an error for people: one line for each of joined errors, so
// that every line begins with its own phase.
func report(w io.Writer, err error) {
	var joined interface{ Unwrap() []error }
	if _, started := err.(*startError); !started && errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			report(w, e)
		}
		return
	}
	line := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " ")
	if _, started := err.(*startError); !started {
		line = "mainstem: " + line
	}
	fmt.Fprintln(w, line)
}
