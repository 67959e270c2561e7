package httpapi

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// requestCost is what a request that writes counts for beside the bytes of its
// body: its goroutine, its headers, its place in a batch.
const requestCost = 8 << 10

// load is memory that requests hold, with a limit for all of them together. It is
// taken when it is about to be allocated, and never waited for: to wait would be
// to hold more.
type load struct {
	max  int64
	held atomic.Int64
}

// take reports whether there was room for n bytes, and holds them if so.
func (l *load) take(n int64) bool {
	if l.held.Add(n) > l.max {
		l.held.Add(-n)
		return false
	}
	return true
}

func (l *load) give(n int64) { l.held.Add(-n) }

func (l *load) gauge(name, help string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(l.held.Load()) })
}

// holdIncoming takes room for n more bytes of a request until it is answered.
func (k *call) holdIncoming(n int64) error {
	if !k.server.incoming.take(n) {
		return errBusy
	}
	k.incoming += n
	return nil
}

// holdOutgoing takes room for n bytes of an answer that nobody else reads from
// the same memory.
func (k *call) holdOutgoing(n int64) error {
	if !k.server.outgoing.take(n) {
		return errReadersBusy
	}
	k.outgoing += n
	return nil
}

// putDown gives back all that a request held, and the call itself.
func (k *call) putDown() {
	s := k.server
	s.incoming.give(k.incoming)
	s.outgoing.give(k.outgoing)
	*k = call{}
	s.calls.Put(k)
}
