package cluster

import (
	"context"
	"testing"
	"testing/synctest"
)

// Whoever asks while a round runs may have written after its index was read, so
// it must wait for the next, which all such callers share.
func TestFenceRoundServesOnlyThoseWhoAskedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		rounds, proceed := uint64(0), make(chan struct{})
		f := fences{spawn: g.spawn, ctx: t.Context(), round: func(context.Context) (uint64, error) {
			rounds++
			n := rounds
			<-proceed
			return n, nil
		}}
		ask := func(callers int) chan uint64 {
			got := make(chan uint64, callers)
			for range callers {
				g.spawn(func() {
					index, err := f.ask(t.Context())
					if err != nil {
						t.Error(err)
					}
					got <- index
				})
			}
			synctest.Wait()
			return got
		}
		first := ask(1)
		rest := ask(100)
		proceed <- struct{}{}
		if got := <-first; got != 1 {
			t.Fatalf("the first caller got round %d", got)
		}
		proceed <- struct{}{}
		for range 100 {
			if got := <-rest; got != 2 {
				t.Fatalf("a caller that came during round 1 got round %d", got)
			}
		}
		<-f.close()
		g.wait()
	})
}
