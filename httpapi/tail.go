package httpapi

import (
	"context"
	"errors"
	"time"

	"mainstem/stream"
)

// tail is one SSE connection (§5.8), as steps that never wait: read and send what
// there is, and say when to go on. Who takes the steps also waits: the goroutine
// of the request (run), or the relay.
type tail struct {
	*follower
	out      outlet
	told     *account     // nil: nobody asks
	chunk    stream.Chunk // the last one read; its body only until it is sent
	fresh    bool         // chunk is still to be sent
	encoding encoding
	whole    bool   // cut text between characters only
	cursor   uint64 // never falls while the connection lives
	end      time.Time
	ping     time.Time
	held     time.Time // until when half a character is held back; zero for none
}

// outlet is where the events of a tail go.
type outlet interface {
	// write reports whether the connection still lives. It is not called while
	// blocked.
	write(packet) bool
	// blocked reports that a part of what was written is still to be sent.
	blocked() bool
}

// How a tail ends without a fault.
var (
	// errGone says that the client does not take what is written.
	errGone = errors.New("client is gone or stuck")
	// errEnded says that the stream is closed and was sent to its end.
	errEnded = errors.New("the stream has ended")
)

// run takes steps until the stream ends, the client leaves, or the connection has
// lived long enough; or until it has caught up and the relay takes over. An error
// after the first byte only breaks the connection off; the client comes back with
// its last offset.
func (t *tail) run(ctx context.Context, handOver func() bool) (taken bool, err error) {
	for {
		until, err := t.step()
		switch {
		case err != nil:
			return false, t.fault(err)
		case ctx.Err() != nil:
			return false, nil
		case until.IsZero():
			continue
		case handOver():
			return true, nil
		}
		if err := t.sleep(ctx, until); err != nil && !errors.Is(err, errTimeUp) {
			if ctx.Err() != nil {
				return false, nil
			}
			return false, t.fault(err)
		}
	}
}

// fault tells which ends of a tail are worth an error: not the client's leaving,
// the server's draining, damage of the copy, or the stream's deletion.
func (t *tail) fault(err error) error {
	var no *stream.Rejection
	for _, quiet := range []error{errEnded, errGone, errTimeUp, errDraining} {
		if errors.Is(err, quiet) {
			return nil
		}
	}
	if errors.As(err, &no) || isDamage(err) {
		return nil
	}
	return err
}

// step reads and sends at most one chunk. It returns when to go on if the stream
// does not change before: the zero time for at once.
func (t *tail) step() (until time.Time, err error) {
	now := t.server.cfg.Now()
	if !t.fresh {
		if err := t.goOn(now); err != nil {
			return until, err
		}
	}
	if t.fresh {
		sleep, err := t.deliver(now)
		if err != nil || !sleep {
			return until, err
		}
	}
	if !now.Before(t.ping) && !t.out.blocked() {
		t.ping = now.Add(t.server.cfg.SSEKeepAlive)
		if !t.out.write(comment) {
			return until, errGone
		}
	}
	until = earlier(t.end, t.ping)
	if !t.held.IsZero() {
		until = earlier(until, t.held)
	}
	return until, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// goOn reads the next chunk.
func (t *tail) goOn(now time.Time) (err error) {
	if t.mustPart() {
		return errDraining
	}
	if !now.Before(t.end) {
		return errTimeUp
	}
	t.lease.renewIfDue(now)
	if t.watch == nil { // the relay waits, for all readers of the stream
		t.chunk, err = t.read(t.chunk.Next, t.server.cfg.ChunkBytes)
	} else {
		t.chunk, err = t.look(t.chunk.Next, t.server.cfg.ChunkBytes)
	}
	t.fresh = t.chunk.Len() > 0 || t.chunk.Ended()
	if !t.fresh {
		t.woken = time.Time{} // for nothing
	}
	return err
}

// deliver sends the fresh chunk. sleep tells whether there is nothing more to do
// until the stream changes.
func (t *tail) deliver(now time.Time) (sleep bool, err error) {
	if t.whole && cutsCharacter(&t.chunk) {
		hold, err := t.completeCharacter(now)
		if err != nil {
			return false, err
		}
		if hold {
			t.putDown()
			t.chunk.Next = t.chunk.From // to be read again, with what follows
			return true, nil
		}
	}
	t.held = time.Time{}
	err = t.send(&t.chunk)
	t.server.metrics.delivered(t.woken)
	t.woken = time.Time{}
	t.putDown()
	switch {
	case err != nil:
		return false, err
	case t.chunk.Ended():
		return false, errEnded
	}
	return t.chunk.UpToDate(), nil
}

// putDown forgets the body of the chunk, which is not to be held while waiting.
func (t *tail) putDown() {
	t.fresh = false
	t.chunk.Body, t.chunk.Memo, t.chunk.Free = nil, nil, nil
}

func (t *tail) read(from stream.Offset, limit int) (stream.Chunk, error) {
	return t.server.reader.Read(t.lease.name, stream.FromOffset(from), limit)
}

// send writes the events of one chunk at once. What is the same for all readers
// of the chunk is made by the first of them.
func (t *tail) send(chunk *stream.Chunk) error {
	t.cursor = max(t.cursor, t.server.currentCursor())
	kind := frameKind{t.encoding, chunk.UpToDate(), chunk.Ended()}
	if chunk.Memo == nil {
		if _, err := t.server.showOffsets(t.lease.name, chunk); err != nil {
			return err
		}
		p := t.server.pack(func(b []byte) []byte { return appendEvents(b, kind, chunk, t.cursor) })
		if chunk.Free != nil {
			chunk.Free()
		}
		return t.write(p)
	}
	f := knownFrame(kind, chunk)
	if f == nil {
		if _, err := t.server.showOffsets(t.lease.name, chunk); err != nil {
			return err
		}
		f = sharedFrame(kind, chunk, t.cursor)
	}
	if f.cursor == t.cursor || kind.ended {
		return t.write(f.packet)
	}
	return t.write(t.server.pack(func(b []byte) []byte { return f.appendWith(b, t.cursor) }))
}

func (t *tail) write(p packet) error {
	if !t.out.write(p) {
		return errGone
	}
	return nil
}
