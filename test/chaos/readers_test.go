package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"mainstem/test/harness"
)

// catchUp reads here and there: from an offset it knows, from the start, or
// where the tail is. It records what came, and the checker says whether it
// could be so.
func (c *crew) catchUp(id string, r *rand.Rand) {
	for !c.stopped() {
		s, n := c.streams[r.IntN(len(c.streams))], c.any(r)
		o, kind := op{Client: id, Stream: s.name, Node: n.id, Call: c.history.now()}, opHead
		if r.IntN(5) > 0 {
			o.From, kind = s.someOffset(r), opRead
		}
		err := c.look(o, kind, n)
		if err != nil {
			c.rest(pauseOnError)
		}
		c.rest(time.Duration(r.Int64N(int64(catchUpPause))))
	}
}

func (s *dataStream) someOffset(r *rand.Rand) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) == 0 || r.IntN(20) == 0 {
		return "-1"
	}
	return s.known[r.IntN(len(s.known))]
}

// look asks one node what is there: with opHead where the tail is, with opRead
// what follows o.From. An answer that no such question may get fails the crew;
// err is anything that is no answer.
func (c *crew) look(o op, kind string, n endpoint) error {
	var a harness.Answer
	var err error
	if o.Kind = kind; kind == opHead {
		a, err = n.client.Head(o.Stream, nil)
		if err == nil && a.Status == http.StatusOK {
			a.Header.Set("Stream-Up-To-Date", "true") // HEAD always tells what is current
		}
	} else {
		if o.From == "" {
			o.From = "-1"
		}
		a, err = n.client.Read(o.Stream, o.From, nil)
	}
	o.Return, o.Status = c.history.now(), a.Status
	return c.looked(o, a, err)
}

func (c *crew) looked(o op, a harness.Answer, err error) error {
	switch {
	case err != nil:
		o.Result, o.Error = resultUnknown, err.Error()
	case a.Status == http.StatusOK && a.Next() != "":
		o.Result = resultOK
		o.setRead(wire(a.Body, isJSON(o.Stream)), a.Next(), a.UpToDate(), a.Closed())
	case a.Status >= 500 || a.Status == http.StatusTooManyRequests:
		o.Result, err = resultRefused, errors.New("refused")
	default:
		o.Result, err = resultRefused, errors.New("refused")
		c.fail(fmt.Errorf("%s, %s of %s from %q at %s: %s", o.Client, o.Kind, o.Stream, o.From, o.Node, a))
	}
	c.history.add(o)
	return err
}

// tail is a live reader of one stream through one node, by SSE or long-poll. It
// comes again with its last offset whenever its connection ends.
type tail struct {
	crew   *crew
	id     string
	node   endpoint
	stream string
	sse    bool

	mu     sync.Mutex
	offset string // guarded by mu
}

func (l *tail) at() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.offset
}

func (l *tail) run(ctx context.Context) {
	for ctx.Err() == nil {
		var err error
		if l.sse {
			err = l.follow(ctx)
		} else {
			err = l.poll(ctx)
		}
		var refused *harness.Refused
		if errors.As(err, &refused) && refused.Answer.Status < 500 && refused.Answer.Status != http.StatusTooManyRequests {
			l.crew.fail(fmt.Errorf("%s of %s: %w", l.id, l.stream, err))
			return
		}
		if err != nil {
			time.Sleep(pauseOnError) // the load may have ended, this goes on
		}
	}
}

// take records what came and from where to go on.
func (l *tail) take(call int64, data, next string, closed bool) {
	o := op{Client: l.id, Kind: opTail, Stream: l.stream, Node: l.node.id, From: l.at(), Call: call, Return: l.crew.history.now(), Result: resultOK}
	o.setRead(data, next, false, closed)
	if data != "" || next != o.From {
		l.crew.history.add(o)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offset = next
}

func (l *tail) follow(ctx context.Context) error {
	events, err := l.node.client.Tail(ctx, l.stream, l.at())
	if err != nil {
		return err
	}
	defer events.Close()
	data, call := "", l.crew.history.now() // data counts once its control event has come
	for {
		e, err := events.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e.Name == "data" {
			data += wire([]byte(e.Data), isJSON(l.stream))
			continue
		}
		control, err := e.Control()
		if err != nil {
			return err
		}
		l.take(call, data, control.Next, control.Closed)
		data, call = "", l.crew.history.now()
	}
}

func (l *tail) poll(ctx context.Context) error {
	call := l.crew.history.now()
	a, err := l.node.client.LongPollUntil(ctx, l.stream, l.at())
	switch {
	case err != nil:
		return err
	case a.Status == http.StatusNoContent && l.at() != "-1" && a.Next() != l.at():
		l.crew.fail(fmt.Errorf("%s of %s: 204 moved the offset from %s to %s", l.id, l.stream, l.at(), a.Next()))
		return nil
	case a.Status != http.StatusOK && a.Status != http.StatusNoContent:
		return &harness.Refused{Answer: a}
	}
	l.take(call, wire(a.Body, isJSON(l.stream)), a.Next(), a.Closed())
	return nil
}
