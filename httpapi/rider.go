package httpapi

import (
	"net/http"
	"runtime/debug"
	"time"
)

// riderState is what the relay does with a rider.
type riderState uint8

const (
	idle riderState = iota
	queued
	running
	over
)

// rider is a tail whose connection was taken from net/http. Its turns are taken
// one after the other, by whichever worker is free.
type rider struct {
	*tail
	relay *relay
	out   lineOutlet
	begin time.Time
	alarm *time.Timer // calls wake
	set   time.Time   // what alarm is set to, by Config.Now
	cutAt time.Time   // when a client that takes nothing is cut; zero while it takes
	parts bool        // there is only the end of the body left to send
	ended bool        // and it was sent

	// under relay.mu
	group  *group
	place  int // in group.riders
	state  riderState
	again  bool   // woken while running
	heard  uint32 // of group.rings
	behind *rider // in the queue
}

func (rd *rider) wake() { rd.relay.wake(rd) }

// safeTurn is turn, and ends the rider if that panics, as net/http would end its
// request.
func (rd *rider) safeTurn(cut bool) (next riderState) {
	defer func() {
		if p := recover(); p != nil {
			rd.server.log.Error("handler panicked", "method", http.MethodGet, "stream", string(rd.lease.name), "panic", p, "stack", string(debug.Stack()))
			next = rd.leave()
		}
	}()
	return rd.turn(cut)
}

// turn does what can be done without waiting and returns what the relay is to do
// next: nothing (idle), another turn soon (queued), or forget this rider (over).
func (rd *rider) turn(cut bool) riderState {
	if cut || rd.out.line.Gone() || !rd.out.flush() {
		return rd.leave()
	}
	for !rd.out.blocked() {
		rd.cutAt = time.Time{}
		switch {
		case rd.ended:
			return rd.leave()
		case rd.parts:
			rd.ended = true
			if !rd.out.write(lastChunk) {
				return rd.leave()
			}
			continue
		}
		until, err := rd.step()
		if err != nil {
			if fault := rd.fault(err); fault != nil {
				rd.server.log.Error("answer broken off", "operation", http.MethodGet, "err", fault)
				return rd.leave()
			}
			if err == errGone {
				return rd.leave()
			}
			rd.parts = true
			continue
		}
		switch {
		case rd.out.blocked():
		case until.IsZero():
			return queued // the others first
		default:
			return rd.rest(until)
		}
	}
	return rd.waitForRoom()
}

// rest sleeps until the stream changes, or a moment comes.
func (rd *rider) rest(until time.Time) riderState {
	if rd.draining == nil { // it knows, and has its moment to leave
		until = earlier(until, rd.parting)
	}
	if rd.lease.window > 0 {
		until = earlier(until, rd.lease.next)
	}
	rd.setAlarm(until)
	return idle
}

// waitForRoom sleeps until the client has taken something: not longer than
// SlowReaderTimeout from the moment in which it took no more.
func (rd *rider) waitForRoom() riderState {
	now := rd.server.cfg.Now()
	if rd.cutAt.IsZero() {
		rd.cutAt = now.Add(rd.server.cfg.SlowReaderTimeout)
	}
	if !now.Before(rd.cutAt) {
		rd.server.metrics.tooSlow.Inc()
		return rd.leave()
	}
	rd.setAlarm(rd.cutAt)
	return idle
}

// setAlarm sets the timer, if it is not set to that moment already. One that has
// rung is set again, because it rings when the moment has come and not before.
func (rd *rider) setAlarm(at time.Time) {
	now := rd.server.cfg.Now()
	if rd.set.Equal(at) && now.Before(at) {
		return
	}
	rd.set = at
	if rd.alarm == nil {
		rd.alarm = time.AfterFunc(at.Sub(now), rd.wake)
		return
	}
	rd.alarm.Reset(at.Sub(now))
}

// leave closes the connection and counts it.
func (rd *rider) leave() riderState {
	if rd.alarm != nil {
		rd.alarm.Stop()
	}
	rd.out.close()
	rd.tail.uncount()
	took := time.Since(rd.begin)
	rd.server.metrics.observe(opSSE, http.StatusOK, took, rd.out.sent)
	rd.tail.told.close(opSSE, http.StatusOK, rd.out.sent, took)
	return over
}

// lineOutlet is the outlet to a connection that was taken over: writes never
// wait, and what was not taken is kept for later.
type lineOutlet struct {
	server *Server
	line   Line
	sent   int64
	packet packet // of which rest is to be sent
	rest   []byte
	held   int64 // of rest, in Server.outgoing
}

func (o *lineOutlet) blocked() bool { return len(o.rest) > 0 }

func (o *lineOutlet) write(p packet) bool {
	o.packet, o.rest = p, p.chunk
	o.sent += int64(len(p.chunk))
	return o.flush() && o.hold()
}

// hold counts what the connection did not take, if it lies in memory of its own,
// and reports whether there is room for it.
func (o *lineOutlet) hold() bool {
	if !o.blocked() || o.packet.room == nil {
		return true
	}
	held := int64(len(o.packet.chunk)) // all of it stays until the last byte is sent
	if !o.server.outgoing.take(held) {
		o.server.metrics.tooFull.Inc()
		return false
	}
	o.held = held
	return true
}

// drop gives the packet back.
func (o *lineOutlet) drop() {
	o.server.unpack(o.packet)
	o.server.outgoing.give(o.held)
	o.packet, o.rest, o.held = packet{}, nil, 0
}

// flush sends what it can of the rest, and reports whether the connection lives.
func (o *lineOutlet) flush() bool {
	if len(o.rest) == 0 {
		return true
	}
	n, err := o.line.Write(o.rest)
	if o.rest = o.rest[n:]; len(o.rest) == 0 || err != nil {
		o.drop()
	}
	return err == nil
}

func (o *lineOutlet) close() {
	o.drop()
	_ = o.line.Close() // there is nobody to tell
}
