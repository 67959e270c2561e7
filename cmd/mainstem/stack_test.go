package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestWhatWasOpenedIsClosedInReverseOnceAndAllErrorsAreKept(t *testing.T) {
	var closed []string
	var s stack
	for _, what := range []string{"first", "second", "third"} {
		s.push(what, func() error {
			closed = append(closed, what)
			if what == "second" {
				return nil
			}
			return errors.New("broken")
		})
	}
	err := s.close()
	if got, want := closed, []string{"third", "second", "first"}; !slices.Equal(got, want) {
		t.Fatalf("closed %q, want %q", got, want)
	}
	if err == nil || !strings.Contains(err.Error(), "close third: broken") || !strings.Contains(err.Error(), "close first: broken") {
		t.Fatalf("got error %v", err)
	}
	if err := s.close(); err != nil || len(closed) != 3 {
		t.Fatalf("a second close: error %v, closed %q", err, closed)
	}
}
