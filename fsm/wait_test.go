package fsm_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/fsm"
	"mainstem/stream"
)

// bubble opens a node inside a synctest bubble and closes it before its end.
func bubble(t *testing.T, test func(t *testing.T, n *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newNode(t)) })
}

func TestWaitWakesOnWhatAReaderWouldSee(t *testing.T) {
	tests := map[string]struct {
		setup []stream.Command
		event stream.Command
		later stream.Time
		wakes bool
	}{
		"data":                    {nil, add("a", "x"), 0, true},
		"closing":                 {nil, stream.Append{Name: "a", Close: true}, 0, true},
		"data and closing":        {nil, stream.Append{Name: "a", ContentType: "text/plain", Body: stream.Payload{Data: []byte("x")}, Close: true}, 0, true},
		"delete":                  {nil, stream.Delete{Name: "a"}, 0, true},
		"soft delete":             {[]stream.Command{forkOf("f", "a", nil, 0)}, stream.Delete{Name: "a"}, 0, true},
		"expiry":                  {nil, stream.Expire{Name: "a"}, 100_000, true},
		"expiry found by another": {nil, add("a", "x"), 100_000, true},
		"touch":                   {nil, stream.Touch{Name: "a"}, 1000, false},
		"refused append":          {nil, stream.Append{Name: "a", ContentType: "text/html", Body: stream.Payload{Data: []byte("x")}}, 0, false},
		"being forked":            {nil, forkOf("f", "a", nil, 0), 0, false},
		"fork's own append":       {[]stream.Command{forkOf("f", "a", nil, 0)}, add("f", "x"), 0, false},
		"another stream":          {nil, create("b", "x"), 0, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *node) {
				c := create("a", "start")
				c.Lifetime = ttl(t, "100")
				tail := n.must(c).Next
				for _, c := range tt.setup {
					n.must(c)
				}
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("timeout"))
				defer cancel()
				done := make(chan error, 1)
				go func() { done <- n.Wait(ctx, "a", tail) }()
				synctest.Wait()
				select {
				case err := <-done:
					t.Fatalf("it did not wait: %v", err)
				default:
				}
				began := time.Now()
				n.now += tt.later
				n.apply(tt.event)
				err := <-done
				if waited := time.Since(began); tt.wakes && (err != nil || waited != 0) || !tt.wakes && (err == nil || waited != time.Minute || err.Error() != "timeout") {
					t.Fatalf("returned %v after %v; want woken %v", err, waited, tt.wakes)
				}
			})
		})
	}
}

func TestASourceDoesNotWakeItsForks(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		n.must(create("src", "x"))
		tail := n.must(forkOf("f", "src", nil, 0)).Next
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- n.Wait(ctx, "f", tail) }()
		for _, c := range []stream.Command{add("src", "y"), stream.Append{Name: "src", Close: true}, stream.Delete{Name: "src"}} {
			n.must(c)
			synctest.Wait()
			select {
			case err := <-done:
				t.Fatalf("%T of the source woke the fork: %v", c, err)
			default:
			}
		}
		n.must(add("f", "own"))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestWaitReturnsAtOnceWhenThereIsSomething(t *testing.T) {
	n := newNode(t)
	start := n.must(create("a", "")).Next
	n.must(add("a", "x"))
	n.must(create("closed", ""))
	closed := n.must(stream.Append{Name: "closed", Close: true}).Next
	gone := n.must(create("gone", "x")).Next
	n.must(forkOf("f", "gone", nil, 0))
	n.must(stream.Delete{Name: "gone"})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, at := range map[stream.Name]stream.Offset{"a": start, "closed": closed, "gone": gone, "missing": {}} {
		if err := n.Wait(ctx, name, at); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func TestWaitersOfARecreatedStreamWake(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		tail := n.must(create("a", "")).Next
		done := make(chan error, 1)
		go func() { done <- n.Wait(t.Context(), "a", tail) }()
		synctest.Wait()
		n.apply(stream.Delete{Name: "a"}, create("a", "")) // both in one entry
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if code := n.refusal("a", stream.FromOffset(tail)); code != stream.Gone {
			t.Fatalf("the old offset answers %d", code)
		}
	})
}

// Writer and readers go in lock-step: each append comes just as the readers of
// the one before it go to sleep, and no later append rings for a bell that was
// missed. A wake-up that falls between looking and listening is lost for ever.
func TestNoWakeUpIsLost(t *testing.T) {
	for _, cached := range []int{0, 1} {
		n := openNode(t, vfs.NewMem(), fsm.Config{CachedStreams: cached})
		const rounds, readers = 10_000, 2
		start := n.must(create("a", "")).Next
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		seen := make(chan int, readers)
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				for at, got := start, 0; got < rounds; {
					if err := n.Wait(ctx, "a", at); err != nil {
						t.Errorf("a reader sleeps at %v: %v", at, err)
						cancel()
						return
					}
					chunk, err := n.Read("a", stream.FromOffset(at), 16)
					if err != nil || chunk.Len() != 1 {
						t.Errorf("woken at %v for %q, %v", at, body(chunk), err)
						cancel()
						return
					}
					at, got = chunk.Next, got+1
					seen <- got
				}
			})
		}
		for round := 0; round < rounds && ctx.Err() == nil; round++ {
			n.must(add("a", "x"))
			for range readers {
				select {
				case <-seen:
				case <-ctx.Done():
				}
			}
		}
		wg.Wait()
		cancel()
	}
}

func TestWaitAppliedReturnsWhenTheCopyHoldsTheIndex(t *testing.T) {
	bubble(t, func(t *testing.T, n *node) {
		if err := n.WaitApplied(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		type answer struct {
			index uint64
			err   error
			body  string
		}
		answers := make(chan answer, 3)
		for index := uint64(1); index <= 3; index++ {
			go func() {
				err := n.WaitApplied(t.Context(), index)
				_, all := n.readAll("a", 100) // what was applied is visible, not only counted
				answers <- answer{index, err, all}
			}()
		}
		for index := uint64(1); index <= 3; index++ {
			synctest.Wait()
			if len(answers) != 0 {
				t.Fatalf("somebody was answered before entry %d: %+v", index, <-answers)
			}
			if index == 1 {
				n.must(create("a", "1"))
			} else {
				n.must(add("a", fmt.Sprint(index)))
			}
			if got := <-answers; got.index != index || got.err != nil || len(got.body) < int(index) {
				t.Fatalf("after entry %d: %+v", index, got)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := n.WaitApplied(ctx, 4); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("an index that never comes: %v", err)
		}
	})
}
