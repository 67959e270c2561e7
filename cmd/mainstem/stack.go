package main

import (
	"errors"
	"fmt"
)

// stack remembers how to undo what was opened, and undoes it in reverse.
type stack struct {
	told   func(what string) // of each that is pushed; nil: nobody
	opened []closing
}

type closing struct {
	what  string // "the raft log", for the error
	close func() error
}

func (s *stack) push(what string, close func() error) {
	s.opened = append(s.opened, closing{what, close})
	if s.told != nil {
		s.told(what)
	}
}

// close closes everything once, however often it is called, and returns all
// that went wrong.
func (s *stack) close() error {
	var errs []error
	for len(s.opened) > 0 {
		last := s.opened[len(s.opened)-1]
		s.opened = s.opened[:len(s.opened)-1]
		if err := last.close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", last.what, err))
		}
	}
	return errors.Join(errs...)
}
