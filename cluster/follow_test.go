package cluster

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"
)

// line is a pipeline whose follower answers when the test says so.
type line struct {
	out     []*raft.AppendEntriesRequest
	unsaid  []raft.AppendFuture
	answers chan raft.AppendFuture
	ended   bool
}

type lineFuture struct {
	raft.AppendFuture
	q *raft.AppendEntriesRequest
	a *raft.AppendEntriesResponse
}

func (f lineFuture) Request() *raft.AppendEntriesRequest   { return f.q }
func (f lineFuture) Response() *raft.AppendEntriesResponse { return f.a }

func (l *line) AppendEntries(q *raft.AppendEntriesRequest, a *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	if l.ended {
		return nil, raft.ErrPipelineShutdown
	}
	f := lineFuture{q: q, a: a}
	l.out, l.unsaid = append(l.out, q), append(l.unsaid, f)
	return f, nil
}
func (l *line) Consumer() <-chan raft.AppendFuture { return l.answers }
func (l *line) Close() error                       { l.ended = true; return nil }

// answer lets the follower answer the oldest request.
func (l *line) answer(success bool) {
	f := l.unsaid[0]
	l.unsaid = l.unsaid[1:]
	f.Response().Success, f.Response().Term = success, f.Request().Term
	l.answers <- f
}

// spans are the entries of each request that was sent; of one without, the one
// before.
func (l *line) spans() (spans [][2]uint64) {
	for _, q := range l.out {
		if n := len(q.Entries); n > 0 {
			spans = append(spans, [2]uint64{q.Entries[0].Index, q.Entries[n-1].Index})
		} else {
			spans = append(spans, [2]uint64{q.PrevLogEntry, 0})
		}
	}
	return spans
}

// entriesFrom are commands of term 3.
func entriesFrom(first, last uint64) (entries []*raft.Log) {
	for i := first; i <= last; i++ {
		entries = append(entries, &raft.Log{Index: i, Term: 3, Type: raft.LogCommand})
	}
	return entries
}

// asked is a request as raft makes it once the entries are stored.
func asked(prev, first, last uint64) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{Term: 3, PrevLogEntry: prev, PrevLogTerm: 3, Entries: entriesFrom(first, last), LeaderCommitIndex: prev}
}

// follower is one pipeline with its log before it.
type follower struct {
	*line
	*pipeline
	log *ahead
	got []*raft.AppendEntriesRequest // answered to raft
}

func newFollower(t *testing.T) *follower {
	f := &follower{line: &line{answers: make(chan raft.AppendFuture)}}
	f.log = &ahead{LogStore: raft.NewInmemStore(), commit: func() uint64 { return 9 }}
	f.pipeline = newPipeline(f.line, func() uint64 { return 0 }, func(uint64) {})
	f.log.join(f.pipeline)
	t.Cleanup(func() { f.pipeline.Close() })
	return f
}

// ask is raft's sender, and its reader of what has come.
func (f *follower) ask(t *testing.T, q *raft.AppendEntriesRequest) {
	t.Helper()
	if _, err := f.pipeline.AppendEntries(q, new(raft.AppendEntriesResponse)); err != nil {
		t.Fatal(err)
	}
	f.read()
}

func (f *follower) read() {
	synctest.Wait()
	for {
		select {
		case a := <-f.pipeline.Consumer():
			if a.Response() != nil && a.Response().Success {
				f.got = append(f.got, a.Request())
			}
			synctest.Wait()
		default:
			return
		}
	}
}

func (f *follower) store(t *testing.T, entries []*raft.Log) {
	t.Helper()
	if err := f.log.StoreLogs(entries); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func (f *follower) want(t *testing.T, sent [][2]uint64, answered ...*raft.AppendEntriesRequest) {
	t.Helper()
	if got := f.spans(); !slices.Equal(got, sent) {
		t.Fatalf("sent %v, want %v", got, sent)
	}
	if !slices.Equal(f.got, answered) {
		t.Fatalf("raft got %d answers, want %d", len(f.got), len(answered))
	}
}

func TestEntriesAreSentWhileTheyAreStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(t)
		first := asked(10, 11, 10) // no entries: raft begins a pipeline so, or with what it has
		f.ask(t, first)
		f.store(t, entriesFrom(11, 12))
		f.want(t, [][2]uint64{{10, 0}, {11, 12}})
		if q := f.out[1]; q.PrevLogEntry != 10 || q.PrevLogTerm != 3 || q.Term != 3 || q.LeaderCommitIndex != 9 {
			t.Fatalf("sent early: %+v", q)
		}
		second := asked(10, 11, 12)
		f.ask(t, second)
		f.want(t, [][2]uint64{{10, 0}, {11, 12}}) // not again, and not answered yet
		f.answer(true)
		f.read()
		f.want(t, [][2]uint64{{10, 0}, {11, 12}}, first)
		f.answer(true)
		f.read()
		f.want(t, [][2]uint64{{10, 0}, {11, 12}}, first, second)
	})
}

// Raft may look later: what was answered meanwhile counts from then on.
func TestAnEarlyAnswerWaitsForRaft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(t)
		first := asked(9, 10, 10)
		f.ask(t, first)
		f.store(t, entriesFrom(11, 11))
		f.store(t, entriesFrom(12, 13))
		for range 3 {
			f.answer(true)
			f.read()
		}
		sent := [][2]uint64{{10, 10}, {11, 11}, {12, 13}}
		f.want(t, sent, first)
		both := asked(10, 11, 13)
		f.ask(t, both)
		f.want(t, sent, first, both)
	})
}

func TestWhatDoesNotFitIsNotSentEarly(t *testing.T) {
	other := entriesFrom(11, 11)
	other[0].Term = 4
	change := entriesFrom(11, 11)
	change[0].Type = raft.LogConfiguration
	for name, entries := range map[string][]*raft.Log{
		"a gap":               entriesFrom(12, 12),
		"sent already":        entriesFrom(10, 10),
		"of another term":     other,
		"a change of members": change,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFollower(t)
				first := asked(9, 10, 10)
				f.ask(t, first)
				f.store(t, entries)
				f.want(t, [][2]uint64{{10, 10}})
			})
		})
	}
}

// Raft's request may be for other entries than were sent early: then it goes as it
// is, and the answer to that is the one that counts.
func TestARequestThatWasNotSentAsItIsGoesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollower(t)
		first := asked(9, 10, 10)
		f.ask(t, first)
		f.store(t, entriesFrom(11, 13))
		part := asked(10, 11, 12)
		f.ask(t, part)
		f.want(t, [][2]uint64{{10, 10}, {11, 13}, {11, 12}})
		for range 3 {
			f.answer(true)
			f.read()
		}
		f.want(t, [][2]uint64{{10, 10}, {11, 13}, {11, 12}}, first, part)
		rest := asked(12, 13, 13)
		f.ask(t, rest)
		f.answer(true)
		f.read()
		f.want(t, [][2]uint64{{10, 10}, {11, 13}, {11, 12}, {13, 13}}, first, part, rest)
		f.store(t, entriesFrom(14, 14)) // and all goes on as before
		f.want(t, [][2]uint64{{10, 10}, {11, 13}, {11, 12}, {13, 13}, {14, 14}}, first, part, rest)
	})
}

func TestARefusalOfWhatWasSentEarlyEndsThePipeline(t *testing.T) {
	for name, askedBefore := range map[string]bool{"before raft asks": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFollower(t)
				first := asked(9, 10, 10)
				f.ask(t, first)
				f.store(t, entriesFrom(11, 11))
				second := asked(10, 11, 11)
				if askedBefore {
					f.ask(t, second)
				}
				f.answer(true)
				f.read()
				f.answer(false)
				f.read()
				f.want(t, [][2]uint64{{10, 10}, {11, 11}}, first)
				if _, err := f.pipeline.AppendEntries(second, new(raft.AppendEntriesResponse)); err == nil {
					t.Fatal("the pipeline took another request")
				}
			})
		})
	}
}
