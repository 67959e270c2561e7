package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"mainstem/stream"
)

// Load is what many clients do to a cluster at once.
type Load struct {
	Cluster *Cluster
	History *History
	Seed    uint64

	ctx     context.Context // ends with the load
	clients sync.WaitGroup
	count   int

	mu      sync.Mutex // guards what follows
	streams []string   // that were to be created and are never deleted
	acked   map[string][]stream.Offset
	closing string // the stream that is going to be closed next
}

// The streams that live from the beginning to the end.
var lasting = []string{"log-0", "log-1", "log-2", "json-0", "prod-0", "prod-1"}

// isJSON tells a stream's type by its name.
func isJSON(name string) bool { return strings.HasPrefix(name, "json-") }

func headersOf(name string) Headers {
	if isJSON(name) {
		return Headers{"Content-Type": "application/json"}
	}
	return Headers{"Content-Type": "text/plain"}
}

// wire turns the body of an answer into the bytes that offsets count.
func wire(name, body string) string {
	if !isJSON(name) {
		return body
	}
	body = strings.TrimSuffix(strings.TrimPrefix(body, "["), "]")
	if body == "" {
		return ""
	}
	return body + ","
}

// client is one of the clients, which does one thing after the other.
type client struct {
	*Load
	id   int
	rng  *rand.Rand
	next int // number of the next payload
	node *Node
}

// Run lets the clients work until ctx ends, waits for what they have in flight,
// and reads everything at every node. meanwhile runs beside them.
func (l *Load) Run(meanwhile func()) {
	ctx, cancel := context.WithCancel(context.Background())
	l.ctx, l.acked = ctx, map[string][]stream.Offset{}
	first := l.client()
	for _, name := range lasting {
		for first.create(name).Fate() != Done {
			first.pause()
		}
		l.streams = append(l.streams, name)
	}
	for _, name := range trimmed {
		for first.do(&Op{Kind: Create, Stream: name}, "PUT", "", trimHeaders(name), "").Fate() != Done {
			first.pause()
		}
		l.streams = append(l.streams, name)
		for range 2 {
			l.spawn(func(c *client) { c.trim(name) })
		}
	}
	for range 4 {
		l.spawn((*client).write)
	}
	for i := range 2 {
		l.spawn(func(c *client) { c.produce(fmt.Sprintf("prod-%d", i)) })
		l.spawn(func(c *client) { c.live(fmt.Sprintf("life-%d", i)) })
		l.spawn((*client).read)
	}
	l.spawn((*client).closeAll)
	l.spawn((*client).fork)
	for _, name := range lasting {
		l.spawn(func(c *client) { c.follow(name) })
		l.spawn(func(c *client) { c.poll(name) })
	}
	meanwhile()
	cancel()
	l.clients.Wait()
	time.Sleep(trimsSettle)
	l.readAll()
}

// trimsSettle is how long after the last append a stream may hold more than it is
// to keep: a sweeper waits for the answer to a trim, and pauses if it gets none.
const trimsSettle = 10 * time.Second

func (l *Load) client() *client {
	l.count++
	return &client{Load: l, id: l.count, rng: rand.New(rand.NewPCG(l.Seed, uint64(100+l.count)))}
}

func (l *Load) spawn(work func(*client)) {
	c := l.client()
	l.clients.Go(func() { work(c) })
}

// going picks a node for the next request and reports false at the end.
func (c *client) going() bool {
	for c.ctx.Err() == nil {
		c.pause()
		if c.node = c.Cluster.Node(c.Cluster.IDs[c.rng.IntN(len(c.Cluster.IDs))]); c.node != nil {
			return c.ctx.Err() == nil
		}
	}
	return false
}

func (c *client) pause() {
	most := 80 * time.Millisecond
	if c.rng.IntN(20) == 0 {
		most = time.Second
	}
	select {
	case <-time.After(time.Duration(c.rng.Int64N(int64(most)))):
	case <-c.ctx.Done():
	}
}

// payload is a text that no other append has.
func (c *client) payload() string {
	c.next++
	return fmt.Sprintf("%d.%d%s;", c.id, c.next, strings.Repeat("x", c.rng.IntN(30)))
}

// do carries out an operation at the client's node and notes its outcome.
func (c *client) do(o *Op, method, query string, h Headers, body string) *Op {
	o.Client = c.id
	if c.node == nil {
		c.node = c.Cluster.Node(c.Cluster.IDs[0])
	}
	o.Node = c.node.ID
	// Some are impatient. The load's end cuts nobody off.
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(500+c.rng.IntN(14500))*time.Millisecond)
	defer cancel()
	c.History.Begin(o)
	defer c.History.End(o)
	r, err := c.node.Call(ctx, method, Base+o.Stream+query, h, body)
	if err != nil {
		o.Err = err.Error()
		return o
	}
	o.note(r)
	return o
}

func (o *Op) note(r Reply) {
	if horizon, err := stream.ParseOffset(r.Header.Get("Stream-Retention-Horizon")); err == nil {
		o.Horizon = horizon
	}
	o.Status, o.Next, o.UpToDate, o.Closed, o.Stale = r.Status, r.Next(), r.UpToDate(), r.Closed(), r.Stale()
	switch {
	case r.Status >= 400:
		o.Reason = r.Reason()
	case o.Kind == Read || o.Kind == Poll:
		o.Body = wire(o.Stream, r.Body)
	}
}

func (c *client) create(name string) *Op {
	return c.do(&Op{Kind: Create, Stream: name}, "PUT", "", headersOf(name), "")
}

// append appends one payload, or for JSON a few.
func (c *client) append(name string) *Op {
	if !isJSON(name) {
		data := c.payload()
		return c.acknowledge(c.do(&Op{Kind: Append, Stream: name, Data: data}, "POST", "", headersOf(name), data))
	}
	var elements []string
	for range 1 + c.rng.IntN(3) {
		elements = append(elements, `"`+c.payload()+`"`)
	}
	list := strings.Join(elements, ",")
	return c.acknowledge(c.do(&Op{Kind: Append, Stream: name, Data: list + ","}, "POST", "", headersOf(name), "["+list+"]"))
}

// acknowledge remembers the offset of a successful append, for others to use.
func (c *client) acknowledge(o *Op) *Op {
	if o.Fate() == Done {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.acked[o.Stream] = append(c.acked[o.Stream], o.Next)
	}
	return o
}

// readAll reads each lasting stream at each node to its end.
func (l *Load) readAll() {
	for _, name := range l.streams {
		l.History.Final[name] = map[string]Final{}
		for _, n := range l.Cluster.Running() {
			l.History.Final[name][n.ID] = l.readWhole(n, name)
		}
	}
}

func (l *Load) readWhole(n *Node, name string) (f Final) {
	at := "-1"
	for {
		r, err := n.Ask("GET", name+"?offset="+at, nil, "")
		switch {
		case err == nil && r.Status == 404:
			f.Gone = true
			return f
		case err != nil || r.Status != 200:
			l.History.Complain("when all was healed, a read of %s at %s from %s failed: %v %v", name, n.ID, at, r, err)
			return f
		}
		if horizon, err := stream.ParseOffset(r.Header.Get("Stream-Retention-Horizon")); err == nil && at == "-1" {
			f.Begin = horizon.Pos
		}
		f.Body += wire(name, r.Body)
		f.Next, f.Closed = r.Next(), r.Closed()
		if r.UpToDate() {
			return f
		}
		at = f.Next.String()
	}
}
