package lines

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// unreadMost is how much of what a peer has sent for nothing is taken before its
// connection is closed: with something unread the kernel would reset it, and the
// peer might lose the end of what was written.
const unreadMost = 64 << 10

// Line is one connection. One goroutine at a time may use it.
type Line struct {
	poller *Poller
	conn   net.Conn
	raw    syscall.RawConn
	wake   func()
	number uint64
	gone   atomic.Bool // the peer has left
	full   atomic.Bool // the connection took no more; wake is to be called when it does

	// of one Write; in the line so that a write costs no memory
	attempt func(fd uintptr) (done bool)
	out     []byte
	sent    int
	err     error
}

func newLine(p *Poller, conn net.Conn, raw syscall.RawConn, wake func()) *Line {
	l := &Line{poller: p, conn: conn, raw: raw, wake: wake}
	l.attempt = l.send
	return l
}

// Gone reports that the peer has left: it has closed its side, or reset the
// connection.
func (l *Line) Gone() bool { return l.gone.Load() }

// Write sends what the connection takes at once. If n is less than len(b), wake is
// called when it takes more.
func (l *Line) Write(b []byte) (n int, err error) {
	l.full.Store(false)
	l.out, l.sent, l.err = b, 0, nil
	err = l.raw.Write(l.attempt)
	l.out = nil
	return l.sent, errors.Join(err, l.err)
}

// send writes until all is sent or the connection is full. Full is said before it
// is tried once more, so that no event falls between.
func (l *Line) send(fd uintptr) bool {
	for len(l.out) > 0 {
		n, err := unix.Write(int(fd), l.out)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if l.full.Swap(true) {
				return true
			}
		case err != nil:
			l.err = err
			return true
		default:
			l.sent += n
			l.out = l.out[n:]
		}
	}
	l.full.Store(false)
	return true
}

// notice is told by the poller what has happened.
func (l *Line) notice(events uint32) {
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.gone.Store(true)
		l.wake()
		return
	}
	if l.full.Load() {
		l.wake()
	}
}

// Close closes the connection; what was written is still delivered.
func (l *Line) Close() error {
	l.poller.remove(l)
	if !l.Gone() {
		l.drop()
	}
	return l.conn.Close() // and with it out of the poll set
}

// drop takes what lies unread.
func (l *Line) drop() {
	var b [4096]byte
	_ = l.raw.Read(func(fd uintptr) bool {
		for taken := 0; taken < unreadMost; {
			n, err := unix.Read(int(fd), b[:])
			if n <= 0 || err != nil {
				break
			}
			taken += n
		}
		return true
	})
}
