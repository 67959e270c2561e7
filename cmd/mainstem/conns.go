package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// filesReserve is how many descriptors a node keeps for itself: tables of the
	// copy, segments of the log, other nodes. Of a low limit it is half.
	filesReserve = 6 << 10
	// connsUnknown is for systems that do not tell how many files may be open.
	connsUnknown = 100_000
	// refusingMax is how many connections are told at a time that they are too many;
	// others are closed without a word.
	refusingMax  = 64
	refuseWithin = time.Second
	refuseUnread = 64 << 10
)

// connsMax is how many connections clients may have: as configured, or what the
// limit of open files leaves.
func connsMax(configured int, files uint64) int64 {
	switch {
	case configured > 0:
		return int64(configured)
	case files == 0:
		return connsUnknown
	}
	return int64(files - min(files/2, filesReserve))
}

// crowd is a listener that has so many connections at once and refuses others in
// words: to leave them in the kernel's queue would be silence, and to take them
// would be to run out of descriptors.
type crowd struct {
	net.Listener
	max      int64
	words    []byte // to the refused; nil: they would not understand
	open     atomic.Int64
	refusing sync.WaitGroup
	slots    chan struct{}
	refused  prometheus.Counter
}

func newCrowd(l net.Listener, max int64, secure bool, metrics prometheus.Registerer) *crowd {
	c := &crowd{Listener: l, max: max, slots: make(chan struct{}, refusingMax)}
	if !secure {
		c.words = crowdedAnswer()
	}
	c.refused = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mainstem_connections_refused_total", Help: "Connections of clients that were refused because there were too many."})
	metrics.MustRegister(c.refused,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mainstem_connections", Help: "Connections of clients."},
			func() float64 { return float64(c.open.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mainstem_connections_max", Help: "How many connections clients may have at once."},
			func() float64 { return float64(c.max) }))
	return c
}

// Accept implements net.Listener.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c.open.Add(1) <= c.max {
			if tcp, ok := conn.(*net.TCPConn); ok {
				return &guest{TCPConn: tcp, leave: c.leave}, nil
			}
			return conn, nil // of no listener of this program
		}
		c.leave()
		c.refuse(conn)
	}
}

func (c *crowd) leave() { c.open.Add(-1) }

// refuse says why, and closes the connection.
func (c *crowd) refuse(conn net.Conn) {
	c.refused.Inc()
	select {
	case c.slots <- struct{}{}:
	default:
		_ = conn.Close()
		return
	}
	c.refusing.Go(func() {
		defer func() { <-c.slots }()
		defer conn.Close()
		if conn.SetDeadline(time.Now().Add(refuseWithin)) != nil || len(c.words) == 0 {
			return
		}
		if _, err := conn.Write(c.words); err != nil {
			return
		}
		if tcp, ok := conn.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
			_, _ = io.CopyN(io.Discard, tcp, refuseUnread) // with something unread the kernel would take the words back
		}
	})
}

// wait returns when nobody is being refused any more.
func (c *crowd) wait() { c.refusing.Wait() }

// crowdedAnswer is an answer to whatever is asked.
func crowdedAnswer() []byte {
	const status = http.StatusServiceUnavailable
	body, err := json.Marshal(map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "code": "UNAVAILABLE", "reason": "TOO_MANY_CONNECTIONS",
		"detail": "this node has as many connections as it takes; nothing was read or written, try again, or another node",
	})
	if err != nil { // texts and a number always encode
		panic(err)
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\nRetry-After: 1\r\n"+
		"Access-Control-Allow-Origin: *\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), len(body), body)
}

// guest is a connection that counts until it is closed, by whoever has it by then.
type guest struct {
	*net.TCPConn
	once  sync.Once
	leave func()
}

// Close implements net.Conn.
func (g *guest) Close() error {
	g.once.Do(g.leave)
	return g.TCPConn.Close()
}
