package sim

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"mainstem/cluster"
	"mainstem/httpapi"
	"mainstem/stream"
)

// mutantTries is how many seeds a mutant may live through before the judge is
// said to be blind.
const mutantTries = 3

// TestTheJudgeCatchesMutants breaks the product in the ways that it must never
// be broken, and wants to hear of it.
func TestTheJudgeCatchesMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("of the judge, not of the product")
	}
	mutants := map[string]struct {
		change func(*Options)
		word   string // of a complaint that there must be
	}{
		"acknowledges what was not committed": {func(o *Options) { o.Writer = hopeful }, "acknowledged and"},
		"proposes again what may be there":    {func(o *Options) { o.Writer = stubborn }, "there 2 times"},
		"reads without a fence":               {func(o *Options) { o.Fencer = fearless }, "no order explains"},
		"a tail skips an append":              {func(o *Options) { o.Reader = hasty }, "not what the stream holds"},
		"applies with its own clock":          {func(o *Options) { o.Machine = ownClock }, "copies differ"},
	}
	for name, mutant := range mutants {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= mutantTries; seed++ {
				h, _ := scenario(t, seed, faultTime/2, mutant.change)
				v := Judge(h)
				for _, wrong := range v.Wrong {
					if strings.Contains(wrong, mutant.word) {
						t.Logf("caught under seed %d with %d complaints, such as: %s", seed, len(v.Wrong), wrong)
						return
					}
				}
				t.Logf("seed %d: it lives, %d other complaints", seed, len(v.Wrong))
			}
			t.Fatal("the judge does not see it")
		})
	}
}

// writer is an httpapi.Writer made of a function.
type writer func(ctx context.Context, c stream.Command) (stream.Result, error)

func (w writer) Submit(ctx context.Context, c stream.Command) (stream.Result, error) {
	return w(ctx, c)
}

// hopeful acknowledges appends that it could not see committed, with the offset
// that they will have if all went well.
func hopeful(n *Node, inner httpapi.Writer) httpapi.Writer {
	return writer(func(ctx context.Context, c stream.Command) (stream.Result, error) {
		result, err := inner.Submit(ctx, c)
		a, ok := c.(stream.Append)
		if err == nil || !ok {
			return result, err
		}
		info, _, _ := n.Machine.Info(a.Name)
		info.Tail.Pos += uint64(len(a.Body.Data))
		return stream.Result{Outcome: stream.Outcome{Next: info.Tail}}, nil
	})
}

// stubborn proposes a command again now and then, as who does not know what
// became of the first.
func stubborn(_ *Node, inner httpapi.Writer) httpapi.Writer {
	return writer(func(ctx context.Context, c stream.Command) (stream.Result, error) {
		if _, ok := c.(stream.Append); ok && rand.IntN(500) == 0 {
			_, _ = inner.Submit(ctx, c)
		}
		return inner.Submit(ctx, c)
	})
}

// fencer is an httpapi.Fencer made of a function.
type fencer func(ctx context.Context) error

func (f fencer) Fence(ctx context.Context) error { return f(ctx) }

// fearless takes what is here for what is current.
func fearless(*Node, httpapi.Fencer) httpapi.Fencer {
	return fencer(func(context.Context) error { return nil })
}

// hastyReader loses the bytes of a chunk now and then.
type hastyReader struct{ httpapi.Reader }

func hasty(_ *Node, inner httpapi.Reader) httpapi.Reader { return hastyReader{inner} }

func (r hastyReader) Read(name stream.Name, from stream.From, limit int) (stream.Chunk, error) {
	c, err := r.Reader.Read(name, from, limit)
	if err == nil && len(c.Body) > 1 && rand.IntN(50) == 0 {
		c.Body = c.Body[1:]
	}
	return c, err
}

// ownClockMachine takes the time from its node instead of the log.
type ownClockMachine struct {
	cluster.Machine
	now func() time.Time
}

func ownClock(n *Node, inner cluster.Machine) cluster.Machine {
	return ownClockMachine{inner, n.Clock.Now}
}

func (m ownClockMachine) ApplyBatch(logs []*raft.Log) []any {
	changed := make([]*raft.Log, len(logs))
	for i, l := range logs {
		one := *l
		if l.Type == raft.LogCommand {
			one.Data = bytes.Clone(l.Data)
			_ = stream.Stamp(one.Data, stream.TimeOf(m.now())) // an entry that has a header, as all have
		}
		changed[i] = &one
	}
	return m.Machine.ApplyBatch(changed)
}
