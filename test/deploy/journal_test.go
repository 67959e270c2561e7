package deploy

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// journal is what the stand-ins did and saw, told when the test has failed.
type journal struct {
	mu     sync.Mutex // guards what follows
	began  time.Time
	lines  []string
	faults []string
	quorum int // how many must take part at any time; 0 to look away
	fewest int // that did
}

func newJournal(t *testing.T) *journal {
	j := &journal{began: time.Now()}
	t.Cleanup(func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		if t.Failed() {
			t.Logf("what happened:\n%s", strings.Join(j.lines, "\n"))
		}
	})
	return j
}

func (j *journal) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf("%8.3f ", time.Since(j.began).Seconds())+fmt.Sprintf(format, args...))
}

// fail notes what must not happen.
func (j *journal) fail(format string, args ...any) {
	j.note(format, args...)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.faults = append(j.faults, fmt.Sprintf(format, args...))
}

// want sets how many nodes must take part from now on, 0 to look away.
func (j *journal) want(quorum int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.quorum, j.fewest = quorum, 1<<30
}

// count is called when a process has ended, with those that are left.
func (j *journal) count(left []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.fewest = min(j.fewest, len(left))
	if j.quorum > 0 && len(left) < j.quorum {
		j.faults = append(j.faults, fmt.Sprintf("below quorum: only %v take part, and %d are needed", left, j.quorum))
	}
}

// check fails the test if something happened that must not.
func (j *journal) check(t *testing.T) (fewest int) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, fault := range j.faults {
		t.Error(fault)
	}
	j.faults = nil
	return j.fewest
}
