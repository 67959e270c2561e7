package phase

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Phase is the step of a start in which it failed. The names are those that
// users of the Rust server know, with two of ours.
type Phase string

const (
	Load     Phase = "load_config"
	Validate Phase = "validate_config"
	TLSFiles Phase = "check_tls_files"
	TLS      Phase = "build_tls_context"
	Bind     Phase = "bind_listener"
	Open     Phase = "open_storage"
	Join     Phase = "join_cluster"
	Start    Phase = "start_server"
)

// startError is a failure of one phase.
type startError struct {
	phase Phase
	err   error
}

func (e *startError) Error() string { return fmt.Sprintf("[%s] %s", e.phase, e.err) }
func (e *startError) Unwrap() error { return e.err }

// In marks an error with the phase it belongs to; nil stays nil.
func (p Phase) In(err error) error {
	if err == nil {
		return nil
	}
	return &startError{phase: p, err: err}
}

// Report writes an error for people: one line for each of joined errors, so
// that every line begins with its own phase.
func Report(w io.Writer, err error) {
	var joined interface{ Unwrap() []error }
	if _, started := err.(*startError); !started && errors.As(err, &joined) {
		for _, e := range joined.Unwrap() {
			Report(w, e)
		}
		return
	}
	line := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " ")
	if _, started := err.(*startError); !started {
		line = "mainstem: " + line
	}
	fmt.Fprintln(w, line)
}
