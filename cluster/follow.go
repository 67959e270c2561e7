package cluster

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// AppendEntriesPipeline implements raft.Transport.
//
// In raft v1.7.3 the reader of a pipeline's answers goes away at the first
// refusal, while its sender may at the same moment send once more. Then nobody
// takes the answers, the sender waits for ever, and the follower gets heartbeats
// but no entry until the leader is restarted.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	p := newPipeline(inner, t.last, func(term uint64) { t.awaitDisk(id, term) })
	t.ahead.join(p)
	p.onClose = func() { t.ahead.leave(p) }
	return p, nil
}

// pipeline sends entries to one follower: those that raft asks it to, and before
// that those which this node is about to write to its own disk. It closes itself
// after an answer that ends its reader, so that its sender ends too.
type pipeline struct {
	raft.AppendPipeline
	last    func() uint64
	wait    func(term uint64) // while the disk hangs
	onClose func()
	answers chan raft.AppendFuture
	stored  chan early    // entries that are about to be stored here
	done    chan struct{} // closed by shut
	once    sync.Once
	running sync.WaitGroup

	sending turn                       // guards what follows: requests go one after the other
	newest  *raft.AppendEntriesRequest // of raft's
	sent    uint64                     // the last entry that the follower will have ...
	term    uint64                     // ... and its term

	mu       sync.Mutex                                   // guards what follows; nobody waits with it
	early    []*earlyRequest                              // that raft has not asked for yet, in order
	underway map[*raft.AppendEntriesRequest]*earlyRequest // without an answer yet
	ready    []raft.AppendFuture                          // for raft
	bell     chan struct{}                                // something has become ready
}

// early is what a leader stores, and what was committed when it began to.
type early struct {
	entries []*raft.Log
	commit  uint64
}

// earlyRequest is one that raft had not asked for when it was sent.
type earlyRequest struct {
	request  *raft.AppendEntriesRequest
	response *raft.AppendEntriesResponse // nil until there is one
	takenFor *takenFuture                // what raft was given, once it has asked
}

// takenFuture answers raft's request with what came of one that was sent before.
// Raft looks at it when it comes from the Consumer, and so is complete.
type takenFuture struct {
	request  *raft.AppendEntriesRequest
	response *raft.AppendEntriesResponse
	start    time.Time
}

func (f *takenFuture) Error() error                          { return nil }
func (f *takenFuture) Start() time.Time                      { return f.start }
func (f *takenFuture) Request() *raft.AppendEntriesRequest   { return f.request }
func (f *takenFuture) Response() *raft.AppendEntriesResponse { return f.response }

// earlyMax bounds the requests to a follower that raft has not asked for.
const earlyMax = 4

func newPipeline(inner raft.AppendPipeline, last func() uint64, wait func(uint64)) *pipeline {
	p := &pipeline{
		AppendPipeline: inner, last: last, wait: wait, onClose: func() {},
		answers: make(chan raft.AppendFuture), stored: make(chan early, 1), done: make(chan struct{}),
		sending: newTurn(), underway: map[*raft.AppendEntriesRequest]*earlyRequest{}, bell: make(chan struct{}, 1),
	}
	p.running.Go(p.pass)
	p.running.Go(p.sendEarly)
	return p
}

// AppendEntries implements raft.AppendPipeline.
func (p *pipeline) AppendEntries(q *raft.AppendEntriesRequest, a *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	if q.PrevLogEntry+behindMax < p.last() {
		return nil, errFarBehind
	}
	p.wait(q.Term)
	p.sending.take()
	defer p.sending.give()
	select {
	case <-p.done:
		return nil, raft.ErrPipelineShutdown
	default:
	}
	p.newest = q
	if f := p.takeEarly(q); f != nil {
		return f, nil
	}
	p.reach(q)
	return p.AppendPipeline.AppendEntries(q, a)
}

// reach notes up to where a request brings the follower.
func (p *pipeline) reach(q *raft.AppendEntriesRequest) {
	index, term := q.PrevLogEntry, q.PrevLogTerm
	if n := len(q.Entries); n > 0 {
		index, term = q.Entries[n-1].Index, q.Entries[n-1].Term
	}
	if index > p.sent {
		p.sent, p.term = index, term
	}
}

// sendEarly sends what this node is about to store, when it comes right behind
// what was sent before.
func (p *pipeline) sendEarly() {
	for {
		select {
		case e := <-p.stored:
			p.sending.take()
			q := p.earlyRequest(e)
			if q != nil {
				_, err := p.AppendPipeline.AppendEntries(q, new(raft.AppendEntriesResponse))
				if err != nil {
					p.shut() // raft learns of it when it sends
				}
			}
			p.sending.give()
		case <-p.done:
			return
		}
	}
}

// earlyRequest makes the request that raft will make once the entries are stored,
// nil if that is not certain. p.sending is held.
func (p *pipeline) earlyRequest(e early) *raft.AppendEntriesRequest {
	first, last := e.entries[0], e.entries[len(e.entries)-1]
	if p.newest == nil || first.Term != p.newest.Term || first.Index != p.sent+1 {
		return nil
	}
	q := *p.newest
	q.PrevLogEntry, q.PrevLogTerm = p.sent, p.term
	q.Entries, q.LeaderCommitIndex = e.entries, e.commit
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.early) == earlyMax {
		return nil
	}
	r := &earlyRequest{request: &q}
	p.early = append(p.early, r)
	p.underway[&q] = r
	p.sent, p.term = last.Index, last.Term
	return &q
}

// takeEarly returns the future of raft's request if all its entries have been
// sent, else nil: then they are sent, and those of them that were sent before
// twice, which a follower passes over. p.sending is held.
func (p *pipeline) takeEarly(q *raft.AppendEntriesRequest) raft.AppendFuture {
	n := len(q.Entries)
	if n == 0 {
		return nil
	}
	last := q.Entries[n-1].Index
	p.mu.Lock()
	defer p.mu.Unlock()
	covered := len(p.early) > 0 && p.early[0].request.Entries[0].Index == q.Entries[0].Index
	var end *earlyRequest
	for len(p.early) > 0 && lastOf(p.early[0]) <= last {
		end = p.early[0]
		p.early = p.early[1:]
	}
	if !covered || end == nil || lastOf(end) != last {
		return nil
	}
	f := &takenFuture{request: q, response: end.response, start: time.Now()}
	end.takenFor = f
	if end.response != nil {
		p.give(f)
	}
	return f
}

func lastOf(e *earlyRequest) uint64 { return e.request.Entries[len(e.request.Entries)-1].Index }

// give makes an answer ready for raft. p.mu is held.
func (p *pipeline) give(f raft.AppendFuture) {
	p.ready = append(p.ready, f)
	select {
	case p.bell <- struct{}{}:
	default:
	}
}

// Consumer implements raft.AppendPipeline.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// Close implements raft.AppendPipeline.
func (p *pipeline) Close() error {
	p.onClose()
	err := p.shut()
	p.running.Wait()
	return err
}

func (p *pipeline) shut() error {
	p.once.Do(func() { close(p.done) })
	return p.AppendPipeline.Close() // may be called again
}

// pass brings answers to raft, in the order of its requests.
func (p *pipeline) pass() {
	for {
		select {
		case f := <-p.AppendPipeline.Consumer():
			if !p.sort(f) {
				p.shut()
				return
			}
		case <-p.bell:
		case <-p.done:
			return
		}
		for f := p.next(); f != nil; f = p.next() {
			select {
			case p.answers <- f:
			case <-p.done:
				return
			}
			if refused(f) {
				p.shut()
				return
			}
		}
	}
}

func refused(f raft.AppendFuture) bool {
	return !f.Response().Success || f.Response().Term > f.Request().Term
}

// sort finds whose answer it is. It reports false for a refusal of what raft has
// not asked for: raft will ask again, and get its own.
func (p *pipeline) sort(f raft.AppendFuture) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, was := p.underway[f.Request()]
	if !was {
		p.ready = append(p.ready, f)
		return true
	}
	delete(p.underway, f.Request())
	e.response = f.Response()
	if e.takenFor == nil {
		return !refused(f)
	}
	e.takenFor.response = e.response
	p.ready = append(p.ready, e.takenFor)
	return true
}

// next is the next answer for raft, nil for none.
func (p *pipeline) next() raft.AppendFuture {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ready) == 0 {
		return nil
	}
	f := p.ready[0]
	p.ready = p.ready[1:]
	return f
}
