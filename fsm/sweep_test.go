package fsm_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/fsm"
	"mainstem/stream"
)

const sweepEvery = 100 * time.Millisecond

// leader proposes what Sweep submits, stamped with the time of the bubble.
type leader struct {
	*node
	mu    sync.Mutex
	asked []stream.Name
	fail  error
}

func (l *leader) submit(_ context.Context, c stream.Command) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch c := c.(type) {
	case stream.Expire:
		l.asked = append(l.asked, c.Name)
	case stream.Trim:
		l.asked = append(l.asked, c.Name)
	default:
		return fmt.Errorf("sweep submits %T", c)
	}
	if l.fail != nil {
		return l.fail
	}
	l.now = stream.TimeOf(time.Now())
	l.apply(c)
	return nil
}

func (l *leader) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.asked)
}

// put applies a command at the present time of the bubble.
func (l *leader) put(c stream.Command) stream.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = stream.TimeOf(time.Now())
	return l.apply(c)[0]
}

func sweeping(t *testing.T, test func(t *testing.T, l *leader)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &leader{node: openNode(t, vfs.NewMem(), fsm.Config{Log: slog.New(slog.DiscardHandler)})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Sweep(ctx, sweepEvery, time.Now, l.submit)
		}()
		test(t, l)
		cancel()
		<-done
	})
}

// A leader whose clock was ahead has moved the machine's time. What is due by that
// does not wait until the clocks of the others have come so far.
func TestSweepGoesByTheTimeOfTheMachine(t *testing.T) {
	sweeping(t, func(t *testing.T, l *leader) {
		l.put(withTTL(t, "s", "60"))
		l.mu.Lock()
		l.now = stream.TimeOf(time.Now().Add(time.Hour))
		l.apply(create("other", "x"))
		l.mu.Unlock()
		time.Sleep(2 * sweepEvery)
		if l.count() == 0 {
			t.Fatal("the stream that has expired by the machine's time is not swept")
		}
	})
}

func withTTL(t *testing.T, name stream.Name, seconds string) stream.Create {
	c := create(name, "x")
	c.Lifetime = ttl(t, seconds)
	return c
}

func (l *leader) alive(name stream.Name) bool {
	l.t.Helper()
	_, ok, err := l.Info(name)
	if err != nil {
		l.t.Fatal(err)
	}
	return ok
}

func TestSweepEndsWhatNobodyUses(t *testing.T) {
	sweeping(t, func(t *testing.T, l *leader) {
		l.put(withTTL(t, "short", "1"))
		l.put(withTTL(t, "long", "5"))
		l.put(create("for-ever", "x"))
		time.Sleep(time.Second - time.Millisecond)
		synctest.Wait()
		if !l.alive("short") || l.count() != 0 {
			t.Fatalf("it was ended early; asked for %v", l.asked)
		}
		time.Sleep(sweepEvery + 2*time.Millisecond)
		synctest.Wait()
		if l.alive("short") || !l.alive("long") {
			t.Fatalf("after its second: short lives %v, long lives %v", l.alive("short"), l.alive("long"))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if l.alive("long") || !l.alive("for-ever") || l.count() != 2 {
			t.Fatalf("asked for %v", l.asked)
		}
	})
}

// A renewed stream is asked about once when its old entry is due, and moves on.
func TestSweepLeavesWhatIsUsed(t *testing.T) {
	sweeping(t, func(t *testing.T, l *leader) {
		l.put(withTTL(t, "a", "1"))
		for range 50 {
			time.Sleep(300 * time.Millisecond)
			l.put(stream.Touch{Name: "a"})
		}
		synctest.Wait()
		if !l.alive("a") {
			t.Fatal("a stream in use was ended")
		}
		if n := l.count(); n < 5 || n > 25 {
			t.Fatalf("asked %d times in 15 s about a stream of 1 s", n)
		}
		time.Sleep(1200 * time.Millisecond)
		synctest.Wait()
		if l.alive("a") {
			t.Fatal("it was not ended after its last use")
		}
	})
}

func TestSweepTakesManyInBatches(t *testing.T) {
	sweeping(t, func(t *testing.T, l *leader) {
		for i := range 700 {
			l.put(withTTL(t, stream.Name(fmt.Sprint("s", i)), "1"))
		}
		time.Sleep(time.Second + 4*sweepEvery)
		synctest.Wait()
		for i := range 700 {
			if l.alive(stream.Name(fmt.Sprint("s", i))) {
				t.Fatalf("s%d lives; asked for %d", i, l.count())
			}
		}
	})
}

func TestSweepEndsChainsOfForks(t *testing.T) {
	sweeping(t, func(t *testing.T, l *leader) {
		l.put(withTTL(t, "src", "1"))
		f := forkOf("f", "src", nil, 0)
		f.Lifetime = ttl(t, "3")
		l.put(f)
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if code := l.refusal("src", stream.From{}); code != stream.Gone {
			t.Fatalf("an expired source with a living fork answers %d", code)
		}
		if _, all := l.readAll("f", 10); all != "x" {
			t.Fatalf("the fork reads %q", all)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if l.alive("f") || l.alive("src") {
			t.Fatal("the chain was not collected")
		}
	})
}

func TestSweepRestsAfterAnErrorAndGoesOn(t *testing.T) {
	sweeping(t, func(t *testing.T, l *leader) {
		l.put(withTTL(t, "a", "1"))
		l.mu.Lock()
		l.fail = errors.New("no leader")
		l.mu.Unlock()
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if n := l.count(); n < 3 || n > 8 {
			t.Fatalf("asked %d times in 5 s without a leader", n)
		}
		l.mu.Lock()
		l.fail = nil
		l.mu.Unlock()
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		if l.alive("a") {
			t.Fatal("it does not go on after an error")
		}
	})
}
