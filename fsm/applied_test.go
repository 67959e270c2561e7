package fsm_test

import (
	"fmt"
	"sync"
	"testing"

	"mainstem/stream"
)

// A fence ends when the machine has applied an index, and the read after it must
// see all of that: the entries are wide, so that a reader that was let go too
// early finds streams that readers do not see yet.
func TestWhatCountsAsAppliedCanBeRead(t *testing.T) {
	n := newNode(t)
	const streams, rounds, readers = 500, 40, 2
	var names []stream.Name
	var begin []stream.Command
	for i := range streams {
		names = append(names, stream.Name(fmt.Sprint("s", i)))
		begin = append(begin, create(names[i], ""))
	}
	n.apply(begin...)
	first := n.index
	next := make(chan uint64)
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			for index := range next {
				if err := n.WaitApplied(t.Context(), index); err != nil {
					t.Error(err)
					continue
				}
				want := index - first
				for i := len(names) - 1; i >= 0; i -= 20 {
					if info, _, err := n.Info(names[i]); err != nil || info.Tail.Pos < want {
						t.Errorf("after entry %d counted as applied: %s ends at %d, %v, want %d", index, names[i], info.Tail.Pos, err, want)
						break
					}
				}
			}
		})
	}
	for range rounds {
		for range readers {
			next <- n.index + 1
		}
		var batch []stream.Command
		for _, name := range names {
			batch = append(batch, add(name, "x"))
		}
		n.apply(batch...)
	}
	close(next)
	wg.Wait()
}
