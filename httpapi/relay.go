package httpapi

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"time"

	"mainstem/stream"
)

// relay drives the SSE connections that have caught up with their streams. They
// share a few goroutines: one for each stream, which waits for the next change, and
// some workers, which take the steps of those tails that have something to do.
//
//	bell of a stream ──▶ group ──▶ queue ──▶ workers ──▶ rider.turn ──▶ Line
//	alarm, Line, drain ─────────────▲
//
// Each rider is idle, or queued, or running with one worker. Whatever wakes it
// while it runs makes it run again: no change falls between a look and a sleep,
// because a group takes its next bell before it wakes its riders for the last.
type relay struct {
	server     *Server
	workersMax int

	mu      sync.Mutex // guards what follows, and the fields of groups and riders that say so
	groups  map[stream.Name]*group
	first   *rider // of the queue
	last    *rider
	queued  int
	workers int
	riders  int
	closing chan struct{} // not nil: takes no more, and is closed when there are no riders
	cut     bool          // riders end without ado

	running sync.WaitGroup // groups and workers
}

// group is the riders of one stream.
type group struct {
	name   stream.Name
	watch  func(stream.From, int) (stream.Chunk, <-chan struct{}, error)
	leave  func()
	empty  chan struct{} // closed with the last rider
	riders []*rider      // under relay.mu
	broken bool          // under relay.mu: nobody tells of changes any more
	rings  uint32        // under relay.mu: how often the stream has changed ...
	rang   time.Time     // ... and when it last did
}

// workersLeast is for machines with one processor: a worker that reads from disk
// is not to hold up the others.
const workersLeast = 4

func newRelay(s *Server) *relay {
	r := &relay{server: s, workersMax: max(workersLeast, 2*runtime.GOMAXPROCS(0)), groups: map[stream.Name]*group{}}
	context.AfterFunc(s.draining, r.wakeAll)
	return r
}

// takes reports that the connection of a request may be taken over.
func (r *relay) takes(req *http.Request) bool {
	return r.server.cfg.TakeOver != nil && req.ProtoMajor == 1 && req.ProtoMinor >= 1 && req.TLS == nil &&
		!r.server.isDraining()
}

// take takes a tail that has caught up from the goroutine of its request.
func (r *relay) take(t *tail) bool {
	res, ok := t.out.(*response)
	if !ok || !res.closes || !r.reserve() {
		return false
	}
	res.closes = false // one try
	rd := &rider{tail: t, relay: r, begin: res.begin, state: running}
	line, err := r.server.cfg.TakeOver(res.res.Writer, rd.wake)
	if err != nil {
		r.server.log.Warn("an SSE connection could not be taken over from net/http", "err", err)
		r.mu.Lock()
		r.forget()
		r.mu.Unlock()
		return false
	}
	rd.out = lineOutlet{server: r.server, line: line, sent: res.res.Size}
	t.out = &rd.out
	t.stopWatching()
	r.join(rd)
	return true
}

// reserve makes room for a rider, unless the relay is closing.
func (r *relay) reserve() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing != nil {
		return false
	}
	r.riders++
	return true
}

// forget undoes reserve. It wants the lock.
func (r *relay) forget() {
	if r.riders--; r.riders == 0 && r.closing != nil {
		close(r.closing)
	}
}

// join adds a rider to the group of its stream and lets it look once more.
func (r *relay) join(rd *rider) {
	name := rd.lease.name
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.groups[name]
	if g == nil {
		g = &group{name: name, empty: make(chan struct{})}
		g.watch, g.leave = r.server.reader.Follow(name)
		r.groups[name] = g
		r.running.Go(func() { r.attend(g) })
	}
	rd.group, rd.place, rd.heard = g, len(g.riders), g.rings
	g.riders = append(g.riders, rd)
	r.enqueue(rd)
	r.hire()
}

// part removes a rider that has ended. It wants the lock.
func (r *relay) part(rd *rider) {
	g := rd.group
	end := len(g.riders) - 1
	g.riders[rd.place] = g.riders[end]
	g.riders[rd.place].place = rd.place
	g.riders[end] = nil
	g.riders = g.riders[:end]
	if end == 0 {
		delete(r.groups, g.name)
		close(g.empty)
	}
	r.forget()
}

// attend waits for the changes of one stream for as long as it has riders.
func (r *relay) attend(g *group) {
	defer g.leave()
	now, _ := stream.ParseFrom("now")
	for {
		_, bell, err := g.watch(now, 1)
		if bell == nil {
			r.server.log.Error("a stream cannot be followed", "stream", string(g.name), "err", err)
			r.mu.Lock()
			g.broken = true
			r.mu.Unlock()
		}
		r.wakeGroup(g)
		select {
		case <-bell:
			r.mu.Lock()
			g.rings++
			g.rang = time.Now()
			r.mu.Unlock()
		case <-g.empty:
			return
		}
	}
}

// wakeGroup lets all riders of a stream look. A lone one is served at once.
func (r *relay) wakeGroup(g *group) {
	r.mu.Lock()
	if len(g.riders) == 1 && g.riders[0].state == idle && r.first == nil {
		g.riders[0].state = running
		r.serve(g.riders[0])
	} else {
		for _, rd := range g.riders {
			r.rouse(rd)
		}
	}
	r.hire()
	r.mu.Unlock()
}

// wakeAll lets every rider look, at the beginning of the end.
func (r *relay) wakeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.groups {
		for _, rd := range g.riders {
			r.rouse(rd)
		}
	}
	r.hire()
}

func (r *relay) wake(rd *rider) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rouse(rd)
	r.hire()
}

// rouse wants the lock.
func (r *relay) rouse(rd *rider) {
	switch rd.state {
	case idle:
		r.enqueue(rd)
	case running:
		rd.again = true
	}
}

// enqueue wants the lock, and a rider that is in no queue.
func (r *relay) enqueue(rd *rider) {
	rd.state, rd.again = queued, false
	if r.last == nil {
		r.first = rd
	} else {
		r.last.behind = rd
	}
	r.last = rd
	r.queued++
}

// hire starts workers for what is queued. Those that there are may be busy for long,
// with a read from disk, so they do not count; one too many finds nothing and ends. It
// wants the lock.
func (r *relay) hire() {
	for n := r.queued; n > 0 && r.workers < r.workersMax; n-- {
		r.workers++
		r.running.Go(r.work)
	}
}

// work takes the steps of riders until none is queued.
func (r *relay) work() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.first != nil {
		rd := r.first
		r.first, rd.behind = rd.behind, nil
		if r.first == nil {
			r.last = nil
		}
		r.queued--
		rd.state = running
		r.serve(rd)
	}
	r.workers--
}

// serve lets a running rider take a turn. It wants the lock, and gives it away
// meanwhile.
func (r *relay) serve(rd *rider) {
	cut := r.cut || rd.group.broken
	if rd.heard != rd.group.rings {
		rd.heard, rd.woken = rd.group.rings, rd.group.rang
	}
	r.mu.Unlock()
	next := rd.safeTurn(cut)
	r.mu.Lock()
	switch {
	case next == over:
		rd.state = over
		r.part(rd)
	case next == queued || rd.again:
		r.enqueue(rd) // who serves goes on with the queue, or hires
	default:
		rd.state = idle
	}
}

// close takes no more riders and returns when there are none left, and no
// goroutine; those that are there when ctx ends are cut.
func (r *relay) close(ctx context.Context) error {
	r.mu.Lock()
	if r.closing == nil {
		r.closing = make(chan struct{})
		if r.riders == 0 {
			close(r.closing)
		}
	}
	r.mu.Unlock()
	var err error
	select {
	case <-r.closing:
	case <-ctx.Done():
		err = context.Cause(ctx)
		r.mu.Lock()
		r.cut = true
		r.mu.Unlock()
		r.wakeAll()
		<-r.closing
	}
	r.running.Wait()
	return err
}
