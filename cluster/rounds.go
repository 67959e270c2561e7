package cluster

import (
	"fmt"
	"runtime"
	"sync"

	"mainstem/stream"
)

// bundleMax bounds the envelopes of one entry.
const bundleMax = 256

// rounds puts envelopes into the log of a leader: its own and those that others
// forward. All that wait when a round begins go into one entry, so that the cost
// of an entry, which is paid on every node, is shared by the nodes that write.
//
// A second round begins while one is under way when at least as much waits as is
// under way: on a slow disk both are full, on a fast one entries do not become
// small.
//
// There is no goroutine of its own: of those that wait one carries all.
type rounds struct {
	maxBytes    int // of an entry with several envelopes
	inFlightMax func() int
	propose     func(entry []byte) (answer any, err error)

	mu       sync.Mutex // guards what follows
	waiting  []*proposal
	bytes    int // of those that wait
	commands int // of those that wait
	slots    int // rounds that may be under way
	inFlight int
	riding   int // bytes under way
	aboard   int // commands under way
	gather   gathering
	begun    bool // a round has begun that has not taken its proposals yet
}

// proposal is one envelope, and what became of it.
type proposal struct {
	envelope []byte
	commands int
	taken    bool          // guarded by rounds.mu
	turn     chan struct{} // tells it to look whether to carry
	done     chan struct{} // closed once results or err is set
	results  []stream.Result
	err      error
}

// do returns when the envelope has been decided, or has failed.
func (r *rounds) do(envelope []byte) ([]stream.Result, error) {
	p := &proposal{envelope: envelope, commands: stream.CommandsOf(envelope), turn: make(chan struct{}, 1), done: make(chan struct{})}
	r.mu.Lock()
	r.waiting = append(r.waiting, p)
	r.bytes += len(envelope)
	r.commands += p.commands
	r.gather.tell()
	for !p.taken {
		if r.due() {
			r.carry()
			continue
		}
		r.mu.Unlock()
		select {
		case <-p.turn:
		case <-p.done:
		}
		r.mu.Lock()
	}
	r.mu.Unlock()
	<-p.done
	return p.results, p.err
}

// due reports whether a round begins. The lock is held.
func (r *rounds) due() bool {
	switch {
	case r.begun || len(r.waiting) == 0:
		return false
	case r.inFlight == 0:
		return true
	}
	return r.inFlight < r.slots && r.bytes >= r.riding
}

// carry is one round. The lock is held, but not meanwhile.
func (r *rounds) carry() {
	r.inFlight++
	r.begun = true
	r.mu.Unlock()
	runtime.Gosched() // those that are about to come are in time
	r.mu.Lock()
	if r.slots > 1 { // a single node's own batches come one by one
		r.gather.await(&r.mu, r.present, r.aboard)
	}
	r.begun = false
	riders, bytes, commands := r.take()
	r.riding += bytes
	r.aboard += commands
	r.pass()
	r.mu.Unlock()
	r.settle(riders)
	slots := r.inFlightMax()
	r.mu.Lock()
	r.inFlight--
	r.riding -= bytes
	r.aboard -= commands
	r.slots = slots
	r.pass()
}

// present is how many commands wait, and whether no more fit into an entry.
func (r *rounds) present() (commands int, enough bool) {
	return r.commands, r.bytes >= r.maxBytes || len(r.waiting) >= bundleMax
}

// pass lets the first that waits look whether to carry. The lock is held.
func (r *rounds) pass() {
	if !r.due() {
		return
	}
	select {
	case r.waiting[0].turn <- struct{}{}:
	default: // it has been told
	}
}

// take removes those who ride together. The lock is held.
func (r *rounds) take() (riders []*proposal, bytes, commands int) {
	n := 0
	for n < len(r.waiting) && n < bundleMax {
		size := len(r.waiting[n].envelope)
		if n > 0 && bytes+size > r.maxBytes {
			break
		}
		bytes += size
		commands += r.waiting[n].commands
		r.waiting[n].taken = true
		n++
	}
	riders = r.waiting[:n:n]
	r.waiting = r.waiting[n:]
	if len(r.waiting) == 0 {
		r.waiting = nil
	}
	r.bytes -= bytes
	r.commands -= commands
	return riders, bytes, commands
}

// settle proposes what rides together, and tells each what became of it.
func (r *rounds) settle(riders []*proposal) {
	envelopes := make([][]byte, len(riders))
	for i, p := range riders {
		envelopes[i] = p.envelope
	}
	answer, err := r.propose(stream.Bundle(envelopes))
	results, several := answer.([][]stream.Result)
	for i, p := range riders {
		switch {
		case err != nil:
			p.err = err
		case several && len(results) == len(riders):
			p.results = results[i]
		default:
			var one bool
			if p.results, one = answer.([]stream.Result); !one || len(riders) > 1 {
				p.err = fmt.Errorf("%w (the machine gave a %T for %d envelopes)", ErrOutcomeUnknown, answer, len(riders))
			}
		}
		close(p.done)
	}
}
