package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"mainstem/phase"
)

// progress is how far a start has come, for those who watch it from outside.
type progress struct {
	mu     sync.Mutex // guards the rest
	begun  time.Time
	step   phase.Phase
	since  time.Time // of the step
	opened []string
}

// enter notes that a step begins.
func (p *progress) enter(step phase.Phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step, p.since = step, time.Now()
	if p.begun.IsZero() {
		p.begun = p.since
	}
}

// note adds to what has been opened.
func (p *progress) note(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = append(p.opened, what)
}

func (p *progress) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun.IsZero() {
		return "the start has not begun"
	}
	opened := "nothing"
	if len(p.opened) > 0 {
		opened = strings.Join(p.opened, ", ")
	}
	return fmt.Sprintf("step %s for %s, of %s in all; open: %s", p.step,
		time.Since(p.since).Round(time.Millisecond), time.Since(p.begun).Round(time.Millisecond), opened)
}
