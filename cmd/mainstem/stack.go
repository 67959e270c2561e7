package main

import (
	"errors"
	"fmt"
)

// stack remembers how to undo what was opened, and undoes it in reverse.
type stack []closing

type closing struct {
	what  string // "the raft log", for the error
	close func() error
}

func (s *stack) push(what string, close func() error) { *s = append(*s, closing{what, close}) }

// close closes everything once, however often it is called, and returns all
// that went wrong.
func (s *stack) close() error {
	var errs []error
	for len(*s) > 0 {
		last := (*s)[len(*s)-1]
		*s = (*s)[:len(*s)-1]
		if err := last.close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", last.what, err))
		}
	}
	return errors.Join(errs...)
}
