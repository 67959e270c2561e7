package cluster

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/stream"
)

// slowLog answers each entry after some time, with one result for each envelope
// that says which entry it was in.
type slowLog struct {
	took time.Duration
	err  error

	mu      sync.Mutex // guards what follows
	entries [][]string // envelopes of each, as their first commands' names
	under   int
	most    int
}

func (l *slowLog) propose(entry []byte) (any, error) {
	l.mu.Lock()
	l.under++
	l.most = max(l.most, l.under)
	var names []string
	rest, several := stream.Unbundle(entry)
	if !several {
		names = []string{nameIn(entry)}
	}
	for len(rest) > 0 {
		var envelope []byte
		envelope, rest, _ = stream.NextEnvelope(rest)
		names = append(names, nameIn(envelope))
	}
	l.entries = append(l.entries, names)
	l.mu.Unlock()
	time.Sleep(l.took)
	l.mu.Lock()
	l.under--
	l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	var all [][]stream.Result
	for _, name := range names {
		all = append(all, []stream.Result{{Outcome: stream.Outcome{ContentType: stream.ContentType(name)}}})
	}
	if !several {
		return all[0], nil
	}
	return all, nil
}

func (l *slowLog) seen() (entries, under int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries), l.under
}

func nameIn(envelope []byte) string {
	_, rest, err := stream.ParseHeader(envelope)
	if err != nil {
		return err.Error()
	}
	c, _, err := stream.NextCommand(rest)
	if err != nil {
		return err.Error()
	}
	return string(c.(stream.Touch).Name)
}

func touch(name string) []byte {
	return stream.AppendToEnvelope(stream.NewEnvelope(nil), stream.Touch{Name: stream.Name(name)})
}

func TestWhatWaitsTogetherGoesTogether(t *testing.T) {
	for name, test := range map[string]struct {
		slots, maxBytes int
		entriesMost     int
		underMost       int
	}{
		"one round at a time":   {slots: 1, maxBytes: 1 << 20, entriesMost: 2, underMost: 1},
		"two":                   {slots: 2, maxBytes: 1 << 20, entriesMost: 3, underMost: 2},
		"bounded by bytes":      {slots: 1, maxBytes: 4 * len(touch("w00")), entriesMost: 14, underMost: 1},
		"larger than the bound": {slots: 1, maxBytes: 1, entriesMost: 50, underMost: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &slowLog{took: time.Second}
				r := &rounds{maxBytes: test.maxBytes, inFlightMax: func() int { return test.slots }, propose: l.propose, slots: test.slots}
				var wg sync.WaitGroup
				call := func(name string) {
					wg.Go(func() {
						results, err := r.do(touch(name))
						if err != nil || len(results) != 1 || string(results[0].Outcome.ContentType) != name {
							t.Errorf("%s was answered %+v, %v", name, results, err)
						}
					})
				}
				call("w00") // what comes while it is under way waits
				synctest.Wait()
				for i := 1; i < 50; i++ {
					call(fmt.Sprintf("w%02d", i))
				}
				wg.Wait()
				if len(l.entries) > test.entriesMost || l.most != test.underMost {
					t.Fatalf("%d entries, %d at a time; want at most %d and %d: %v", len(l.entries), l.most, test.entriesMost, test.underMost, l.entries)
				}
				for _, names := range l.entries {
					if n := len(names) * len(touch("w00")); len(names) > 1 && n > test.maxBytes {
						t.Fatalf("an entry holds %d bytes in envelopes", n)
					}
				}
				if r.bytes != 0 || r.riding != 0 || r.inFlight != 0 || r.waiting != nil {
					t.Fatalf("left behind: %d bytes, %d riding, %d rounds, %v", r.bytes, r.riding, r.inFlight, r.waiting)
				}
			})
		})
	}
}

// Less than is under way does not go beside it: entries would become ever smaller.
func TestSmallRoundWaitsForALargeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &slowLog{took: time.Second}
		r := &rounds{maxBytes: 1 << 20, inFlightMax: func() int { return 2 }, propose: l.propose, slots: 2}
		var wg sync.WaitGroup
		do := func(name string) { wg.Go(func() { r.do(touch(name)) }) }
		do("a-name-that-is-rather-long")
		synctest.Wait()
		do("b")
		synctest.Wait()
		if entries, _ := l.seen(); entries != 1 {
			t.Fatalf("a small one went beside: %d entries", entries)
		}
		do("c")
		synctest.Wait()
		if entries, under := l.seen(); entries != 2 || under != 2 {
			t.Fatalf("as much as is under way did not go: %d entries, %d under way", entries, under)
		}
		wg.Wait()
	})
}

func TestAllOfARoundGetItsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("lost")
		l := &slowLog{took: time.Second, err: lost}
		r := &rounds{maxBytes: 1 << 20, inFlightMax: func() int { return 1 }, propose: l.propose, slots: 1}
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				if _, err := r.do(touch(fmt.Sprint(i))); !errors.Is(err, lost) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		wg.Wait()
	})
}
