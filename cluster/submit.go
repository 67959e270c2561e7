package cluster

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"mainstem/stream"
)

// batch is one envelope on its way into the log.
type batch struct {
	envelope []byte // given to raft or to a peer as it is; never reused
	commands int
	opened   time.Time
	session  uint64 // its place among this node's batches; 0 until proposed
	sequence uint64
	doubt    error               // of an attempt whose fate is unknown
	refusal  error               // of the commands that were taken out: for want of space, or of a level
	places   []int               // of the commands, once some were refused; -1 for those
	riders   []trace.SpanContext // of the traced requests in it; see trace.go
	span     trace.Span          // nil: not traced
	timing   timing              // of its last attempt
	done     chan struct{}       // closed once results or err is set
	results  []stream.Result
	err      error
}

func (b *batch) finish(results []stream.Result, err error) {
	b.results, b.err = results, err
	close(b.done)
}

// verdict is what to say of a batch that is given up for why: once an attempt may
// have been carried out, nothing else is certain.
func (b *batch) verdict(why error) error {
	if b.doubt != nil && !errors.Is(why, ErrOutcomeUnknown) {
		return fmt.Errorf("%w (%w; then: %w)", ErrOutcomeUnknown, b.doubt, why)
	}
	return why
}

// dropGrowth takes out the commands for which there is no space, and reports
// whether others are left. What may have been proposed must stay as it is.
func (b *batch) dropGrowth(why error) bool {
	return b.drop(why, stream.WithoutGrowth)
}

// dropAbove takes out the commands that some member does not understand.
func (b *batch) dropAbove(why *LevelError) bool {
	return b.drop(why, func(envelope []byte) ([]byte, []int) { return stream.WithoutAbove(envelope, why.Has) })
}

func (b *batch) drop(why error, without func(envelope []byte) (small []byte, places []int)) bool {
	if b.doubt != nil || b.places != nil {
		return false
	}
	small, places := without(b.envelope)
	left := slices.Max(places) + 1
	if left == 0 {
		return false
	}
	b.envelope, b.commands, b.places, b.refusal = small, left, places, why
	return true
}

// result is the outcome of the i-th command of a finished batch.
func (b *batch) result(i int) (stream.Result, error) {
	if b.places != nil {
		if i = b.places[i]; i < 0 {
			return stream.Result{}, b.refusal
		}
	}
	if b.err != nil {
		return stream.Result{}, b.err
	}
	return b.results[i], nil
}

// proposer gathers commands into batches and sends them on, a few at a time. All
// commands that wait while the slots are taken go together.
type proposer struct {
	maxBytes    int
	maxCommands int
	inFlightMax func() int
	send        func(*batch) // puts it into the log; returns when it is finished
	spawn       func(func()) bool
	metrics     *metrics
	traced      bool // requests may have spans

	mu       sync.Mutex // guards what follows
	open     *batch     // takes commands; never nil
	room     chan struct{}
	alone    []*batch // of one large command each, in order
	waiting  int      // callers that wait for room
	slots    int      // batches that may be under way
	inFlight int
	riding   int  // commands under way
	begun    bool // a batch has begun its way and takes commands still
	gather   gathering
	closing  bool
	idle     chan struct{} // closed when closing and nothing is left
}

var envelopeHeaderLen = len(stream.NewEnvelope(nil))

// scratchKeep is the largest buffer that is kept for the next command.
const scratchKeep = 64 << 10

var scratch = sync.Pool{New: func() any { return new([]byte) }}

func (p *proposer) init() {
	p.open = newBatch(0)
	p.room = make(chan struct{})
	p.idle = make(chan struct{})
}

func newBatch(bytes int) *batch {
	return &batch{
		envelope: stream.NewEnvelope(make([]byte, 0, bytes+envelopeHeaderLen)),
		done:     make(chan struct{}),
	}
}

// submit puts one command into a batch and waits for its result. note, unless it
// is nil, is told of the stages that it went through.
func (p *proposer) submit(ctx context.Context, c stream.Command, note Note) (stream.Result, error) {
	begin := time.Now()
	// Encoded outside the lock, behind room for an envelope's header: a large
	// command becomes a batch of its own without another copy.
	buf := scratch.Get().(*[]byte)
	*buf = stream.AppendToEnvelope(stream.NewEnvelope((*buf)[:0]), c)
	b, i, err := p.add(ctx, buf)
	if cap(*buf) <= scratchKeep {
		scratch.Put(buf)
	}
	if err != nil {
		return stream.Result{}, err
	}
	select {
	case <-b.done:
		b.timing.tell(begin, note)
		return b.result(i)
	case <-ctx.Done():
		select {
		case <-b.done:
			return b.result(i)
		default: // it stays in its batch, which may have been sent
			return stream.Result{}, fmt.Errorf("%w (%w)", ErrOutcomeUnknown, context.Cause(ctx))
		}
	}
}

// add puts an encoded command into a batch, and returns the batch and the
// command's place in it.
func (p *proposer) add(ctx context.Context, buf *[]byte) (*batch, int, error) {
	encoded := *buf
	if len(encoded) > entryBytesMax {
		return nil, 0, ErrTooLarge
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(encoded) > p.maxBytes {
		*buf = nil // the batch keeps it
		return p.addAlone(ctx, encoded)
	}
	body := encoded[envelopeHeaderLen:]
	fits := func() bool {
		return p.open.commands < p.maxCommands && len(p.open.envelope)+len(body) <= p.maxBytes+envelopeHeaderLen
	}
	if err := p.wait(ctx, fits); err != nil {
		return nil, 0, err
	}
	b := p.open
	if b.commands == 0 {
		b.opened = time.Now()
	}
	b.envelope = append(b.envelope, body...)
	stream.RaiseLevel(b.envelope, stream.EnvelopeLevel(encoded))
	b.commands++
	p.gather.tell()
	if p.traced {
		b.ride(ctx)
	}
	p.launch()
	return b, b.commands - 1, nil
}

// aloneMax bounds the large commands that wait for a slot.
const aloneMax = 4

// addAlone queues a command that is a batch by itself.
func (p *proposer) addAlone(ctx context.Context, envelope []byte) (*batch, int, error) {
	if err := p.wait(ctx, func() bool { return len(p.alone) < aloneMax }); err != nil {
		return nil, 0, err
	}
	b := &batch{envelope: envelope, commands: 1, opened: time.Now(), done: make(chan struct{})}
	if p.traced {
		b.ride(ctx)
	}
	p.alone = append(p.alone, b)
	p.gather.tell()
	p.launch()
	return b, 0, nil
}

// wait returns nil, with the lock held, once fits holds.
func (p *proposer) wait(ctx context.Context, fits func() bool) error {
	for {
		if p.closing {
			return ErrClosing
		}
		if fits() {
			return nil
		}
		if p.waiting >= waitersMax {
			return ErrBusy
		}
		room := p.room
		p.waiting++
		p.gather.tell()
		p.mu.Unlock()
		var err error
		select {
		case <-room:
		case <-ctx.Done():
			err = fmt.Errorf("wait for room in a batch: %w", context.Cause(ctx))
		}
		p.mu.Lock()
		p.waiting--
		if err != nil {
			return err
		}
	}
}

// launch sends what waits, if it is time to. The lock is held.
func (p *proposer) launch() {
	if !p.due() {
		return
	}
	p.inFlight++
	p.begun = true
	if !p.spawn(p.carry) {
		p.inFlight--
		p.begun = false
		for b := p.take(); b != nil; b = p.take() {
			b.finish(nil, ErrClosing)
		}
	}
}

// due reports whether a batch goes: when none is under way, and beside others
// when it is large or has as many commands as they have together. The lock is
// held.
func (p *proposer) due() bool {
	switch {
	case p.begun || p.open.commands == 0 && len(p.alone) == 0:
		return false
	case p.inFlight == 0:
		return true
	}
	return p.inFlight < p.slots && (len(p.alone) > 0 || p.open.commands >= p.riding)
}

// take removes the next batch to send, nil for none.
func (p *proposer) take() *batch {
	var b *batch
	switch {
	case len(p.alone) > 0:
		b = p.alone[0]
		p.alone = p.alone[1:]
	case p.open.commands > 0:
		b = p.open
		p.open = newBatch(min(len(b.envelope)*5/4, p.maxBytes))
	default:
		return nil
	}
	close(p.room)
	p.room = make(chan struct{})
	return b
}

// present is how many commands wait, and whether nobody else could join them, or
// should.
func (p *proposer) present() (commands int, enough bool) {
	return p.open.commands + len(p.alone), len(p.alone) > 0 || p.closing || p.waiting > 0
}

// carry sends the next batch.
func (p *proposer) carry() {
	runtime.Gosched() // those that are about to come are in time
	p.mu.Lock()
	p.gather.await(&p.mu, p.present, p.riding)
	b := p.take()
	p.begun = false
	p.riding += b.commands
	p.launch()
	p.mu.Unlock()
	p.metrics.batchCommands.Observe(float64(b.commands))
	p.metrics.batchBytes.Observe(float64(len(b.envelope)))
	b.timing.sent = time.Now()
	p.metrics.stageQueue.Observe(b.timing.sent.Sub(b.opened).Seconds())
	p.send(b)
	slots := p.inFlightMax()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight--
	p.riding -= b.commands
	p.slots = slots
	p.launch()
	p.settle()
}

// queued reports that something waits to be sent.
func (p *proposer) queued() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open.commands > 0 || len(p.alone) > 0
}

// shut refuses new commands and returns a channel that is closed when all that
// was accepted is finished.
func (p *proposer) shut() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closing {
		p.closing = true
		p.gather.tell()
		close(p.room) // those who wait for room go away
		p.room = make(chan struct{})
		p.settle()
	}
	return p.idle
}

func (p *proposer) shutting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closing
}

// settle closes idle once closing and empty. The lock is held.
func (p *proposer) settle() {
	if !p.closing || p.inFlight > 0 || p.open.commands > 0 || len(p.alone) > 0 {
		return
	}
	select {
	case <-p.idle:
	default:
		close(p.idle)
	}
}
