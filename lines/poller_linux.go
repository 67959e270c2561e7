package lines

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// eventsAtOnce bounds what one look at the poll set returns.
const eventsAtOnce = 256

// Poller tells lines when their connections take more, and when their peers have
// left. One goroutine does it for all, and sleeps in the runtime's own poller.
type Poller struct {
	set  *os.File // of epoll
	raw  syscall.RawConn
	done chan struct{} // closed when the goroutine has ended

	mu    sync.Mutex // guards what follows
	lines map[uint64]*Line
	last  uint64 // number of the newest line; descriptors are used again, numbers are not
}

// Open returns a poller; Close must be called.
func Open() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a poll set: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the runtime polls it
		return nil, errors.Join(fmt.Errorf("make a poll set: %w", err), unix.Close(fd))
	}
	p := &Poller{set: os.NewFile(uintptr(fd), "epoll"), done: make(chan struct{}), lines: map[uint64]*Line{}}
	if p.raw, err = p.set.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("make a poll set: %w", err), p.set.Close())
	}
	go p.run()
	return p, nil
}

// Close ends the poller and waits for its goroutine. Lines are closed by those who
// took them; they wake nobody any more.
func (p *Poller) Close() error {
	err := p.set.Close()
	<-p.done
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// Take takes the connection of a request from net/http; what was written to w so
// far must be flushed. wake is called, now or later and from any goroutine, when
// the connection takes more after it did not, and when its peer has left; it must
// not wait. After an error net/http may have given up the connection, which is
// closed then.
func (p *Poller) Take(w http.ResponseWriter, wake func()) (*Line, error) {
	conn, _, err := http.NewResponseController(w).Hijack() // what the peer has sent early is of no use
	if err != nil {
		return nil, fmt.Errorf("take a connection: %w", err)
	}
	l, err := p.add(conn, wake)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take a connection: %w", err), conn.Close())
	}
	return l, nil
}

func (p *Poller) add(conn net.Conn, wake func()) (*Line, error) {
	s, ok := conn.(syscall.Conn)
	if !ok {
		return nil, ErrUnsupported
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	l := newLine(p, conn, raw, wake)
	p.mu.Lock()
	if p.lines == nil {
		p.mu.Unlock()
		return nil, ErrClosed
	}
	p.last++
	l.number = p.last
	p.lines[l.number] = l
	p.mu.Unlock()
	if err := p.watch(l); err != nil {
		p.remove(l)
		return nil, err
	}
	return l, nil
}

// watch adds a line to the poll set, which it leaves by being closed.
func (p *Poller) watch(l *Line) error {
	event := unix.EpollEvent{
		Events: unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     int32(uint32(l.number)), Pad: int32(uint32(l.number >> 32)),
	}
	var noLine, failed error
	noSet := p.raw.Control(func(set uintptr) {
		noLine = l.raw.Control(func(fd uintptr) {
			failed = unix.EpollCtl(int(set), unix.EPOLL_CTL_ADD, int(fd), &event)
		})
	})
	return errors.Join(noSet, noLine, failed)
}

func (p *Poller) remove(l *Line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.lines, l.number)
}

// run wakes lines until the poll set is closed.
func (p *Poller) run() {
	defer close(p.done)
	events := make([]unix.EpollEvent, eventsAtOnce)
	n := 0
	look := func(fd uintptr) bool {
		var err error
		if n, err = unix.EpollWait(int(fd), events, 0); err != nil {
			n = 0
		}
		return n > 0
	}
	for p.raw.Read(look) == nil {
		for _, e := range events[:n] {
			number := uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
			p.mu.Lock()
			l := p.lines[number]
			p.mu.Unlock()
			if l != nil {
				l.notice(e.Events)
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = nil
}
