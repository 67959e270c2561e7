// Package lines takes connections from net/http and writes to them without
// waiting: a connection that has nothing to say costs a kilobyte and no goroutine.
//
// It does not know what is written, and keeps nothing that was not sent.
//
//	net/http ──Hijack──▶ Poller.Take ──▶ Line.Write, Gone, Close
//	epoll (one goroutine for all lines) ──▶ wake: takes more again, or has gone
//
// It exists on Linux. Elsewhere Open returns ErrUnsupported, and connections stay
// where they are.
package lines
