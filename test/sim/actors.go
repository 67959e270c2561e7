package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"mainstem/stream"
)

// write appends to whatever there is.
func (c *client) write() {
	for c.going() {
		names := append([]string{}, lasting[:4]...)
		c.mu.Lock()
		if c.closing != "" {
			names = append(names, c.closing)
		}
		c.mu.Unlock()
		c.append(names[c.rng.IntN(len(names))])
	}
}

// produce appends with producer headers and repeats each append until it is
// acknowledged.
func (c *client) produce(name string) {
	producer := fmt.Sprintf("p%d", c.id)
	for seq := 0; c.going(); seq++ {
		data := c.payload()
		h := headersOf(name)
		h["Producer-Id"], h["Producer-Epoch"], h["Producer-Seq"] = producer, "0", fmt.Sprint(seq)
		for {
			o := c.do(&Op{Kind: Append, Stream: name, Data: data, Producer: producer, Seq: seq}, "POST", "", h, data)
			if o.Fate() == Done {
				c.acknowledge(o)
				break
			}
			if o.Status != 0 && o.Status != 503 {
				c.History.Complain("a producer that repeats and skips nothing is refused: %v", o)
				return
			}
			if !c.going() {
				return
			}
		}
	}
}

// live creates and deletes one stream over and over, and looks at it.
func (c *client) live(name string) {
	for c.going() {
		switch c.rng.IntN(8) {
		case 0, 1:
			c.create(name)
		case 2:
			c.do(&Op{Kind: Delete, Stream: name}, "DELETE", "", nil, "")
		case 3, 4:
			c.append(name)
		case 5:
			c.do(&Op{Kind: Head, Stream: name}, "HEAD", "", nil, "")
		default:
			c.do(&Op{Kind: Read, Stream: name}, "GET", "?offset=-1", nil, "")
		}
	}
}

// closeAll creates streams that others append to, and closes them.
func (c *client) closeAll() {
	for i := 0; c.going(); i++ {
		name := fmt.Sprintf("close-%d", i)
		if c.create(name).Fate() != Done {
			continue // perhaps it is there: nobody looks
		}
		c.mu.Lock()
		c.streams = append(c.streams, name)
		c.closing = name
		c.mu.Unlock()
		for range c.rng.IntN(30) {
			if c.going() {
				c.do(&Op{Kind: Head, Stream: name}, "HEAD", "", nil, "")
			}
		}
		h := headersOf(name)
		h["Stream-Closed"] = "true"
		c.do(&Op{Kind: Close, Stream: name}, "POST", "", h, "")
		for range 10 {
			if c.going() {
				c.append(name)
			}
			if c.going() {
				c.do(&Op{Kind: Read, Stream: name}, "GET", "?offset=-1", nil, "")
			}
		}
	}
}

// fork makes forks of a stream at offsets that were acknowledged.
func (c *client) fork() {
	for i := 0; c.going(); i++ {
		source := lasting[c.rng.IntN(2)]
		c.mu.Lock()
		at := c.acked[source]
		c.mu.Unlock()
		if len(at) == 0 {
			continue
		}
		name := fmt.Sprintf("fork-%d", i)
		o := &Op{Kind: Create, Stream: name, Source: source, From: at[c.rng.IntN(len(at))]}
		h := headersOf(name)
		h["Stream-Forked-From"], h["Stream-Fork-Offset"] = Base+source, o.From.String()
		switch c.do(o, "PUT", "", h, "").Fate() {
		case Refused:
			if o.Status != 503 {
				c.History.Complain("a fork at an offset that was acknowledged is refused: %v", o)
			}
			continue
		case Unknown:
			continue
		}
		c.mu.Lock()
		c.streams = append(c.streams, name)
		c.mu.Unlock()
		for range c.rng.IntN(10) {
			if c.going() {
				c.append(name)
			}
		}
	}
}

// read catches up from where it left off, from the start, from offsets that
// others were told, and asks for tails.
func (c *client) read() {
	at := map[string]stream.Offset{}
	for c.going() {
		name := lasting[c.rng.IntN(len(lasting))]
		o := &Op{Kind: Read, Stream: name, From: at[name]}
		c.mu.Lock()
		if told := c.acked[name]; len(told) > 0 && c.rng.IntN(3) == 0 {
			o.From = told[len(told)-1-c.rng.IntN(min(len(told), 5))]
		}
		c.mu.Unlock()
		query := "?offset=" + o.From.String()
		switch c.rng.IntN(8) {
		case 0:
			o.From, query = stream.Offset{}, "?offset=-1"
		case 1:
			c.do(&Op{Kind: Head, Stream: name}, "HEAD", "", nil, "")
			continue
		}
		c.do(o, "GET", query, nil, "")
		if o.Status == 200 && o.From == at[name] {
			at[name] = o.Next
		}
		c.known(o)
	}
}

// known complains about an answer that denies an offset which the client was
// told before.
func (c *client) known(o *Op) {
	if o.Status >= 400 && o.Status != 503 {
		c.History.Complain("a read of a stream that is there, at an offset that was told, is refused: %v", o)
	}
}

// poll follows a stream by long-polls at changing nodes.
func (c *client) poll(name string) {
	var at stream.Offset
	for c.going() {
		o := c.do(&Op{Kind: Poll, Stream: name, From: at}, "GET", "?live=long-poll&offset="+at.String(), nil, "")
		if o.Status == 200 || o.Status == 204 {
			at = o.Next
		}
		c.known(o)
	}
}

// follow follows a stream by SSE connections to changing nodes.
func (c *client) follow(name string) {
	var at stream.Offset
	for c.going() {
		at = c.connect(name, at)
	}
}

// connect is one SSE connection. It returns where the next one begins.
func (c *client) connect(name string, at stream.Offset) stream.Offset {
	ctx, cancel := context.WithTimeout(c.ctx, time.Duration(c.rng.IntN(20000))*time.Millisecond)
	defer cancel()
	o := c.begin(name, at)
	o.Fenced = true
	tail, reply, err := c.node.Follow(ctx, name, at.String())
	if err != nil || tail == nil {
		o.note(reply)
		if err != nil {
			o.Err = err.Error()
		}
		c.History.End(o)
		c.known(o)
		return at
	}
	defer tail.Close()
	for {
		e, err := tail.Event()
		if err != nil {
			o.Err = err.Error()
			c.History.End(o)
			cut := errors.Is(err, ErrBroken) || ctx.Err() != nil
			if !cut && (e.HasData || !errors.Is(err, io.EOF)) {
				c.History.Complain("a connection ended badly: %v after %+v", o, e)
			}
			return at
		}
		o.Status, o.Body, o.Next, o.UpToDate, o.Closed = 200, wire(name, e.Data), e.Next, e.UpToDate, e.Closed
		c.History.End(o)
		at = e.Next
		o = c.begin(name, at)
	}
}

func (c *client) begin(name string, at stream.Offset) *Op {
	o := &Op{Client: c.id, Kind: Event, Stream: name, Node: c.node.ID, From: at}
	c.History.Begin(o)
	return o
}
