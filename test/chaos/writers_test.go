package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"mainstem/test/harness"
)

// batch is the body of one append: one message or several, all of which name
// the append, so that a reader can tell which it is and whether it is whole.
func batch(stream, client string, seq int, r *rand.Rand) (body string) {
	messages := 1 + r.IntN(4)
	filler := strings.Repeat("x", r.IntN(40))
	if seq%bigEvery == bigEvery-1 {
		messages, filler = 1, strings.Repeat("y", bigBytes)
	}
	var b strings.Builder
	for i := range messages {
		if isJSON(stream) {
			fmt.Fprintf(&b, `{"id":"%s:%d:","i":%d,"f":"%s"},`, client, seq, i, filler)
		} else {
			fmt.Fprintf(&b, "%s:%d:%d:%s\n", client, seq, i, filler)
		}
	}
	return b.String()
}

// sent is the body of a request for what batch made.
func sent(stream, body string) string {
	if isJSON(stream) {
		return "[" + strings.TrimSuffix(body, ",") + "]"
	}
	return body
}

// writePlain appends without producer headers. Each append is sent once: the
// cluster may answer that it does not know, and then it is there or not.
func (c *crew) writePlain(id string, s *dataStream, r *rand.Rand) {
	n := c.any(r)
	h := harness.Headers("Content-Type", contentType(s.name))
	for seq := 0; !c.stopped(); seq++ {
		o := op{Client: id, Kind: opAppend, Stream: s.name, Node: n.id, Seq: seq, Body: batch(s.name, id, seq, r), Call: c.history.now()}
		a, err := n.client.Append(s.name, h, sent(s.name, o.Body))
		o.Return = c.history.now()
		result, wrong := settle(a, err)
		o.Result, o.Status, o.Next = result, a.Status, a.Next()
		if err != nil {
			o.Error = err.Error()
		}
		c.history.add(o)
		if wrong != nil {
			c.fail(fmt.Errorf("%s, append %d to %s at %s: %w", id, seq, s.name, n.id, wrong))
			return
		}
		if result == resultOK {
			c.acknowledged()
			s.learn(o.Next)
			c.rest(time.Duration(r.Int64N(int64(writerPause))))
			continue
		}
		n = c.any(r)
		c.rest(pauseOnError)
	}
}

// writeProduced appends as an idempotent producer, which sends one append until
// it is acknowledged.
func (c *crew) writeProduced(id string, s *dataStream, r *rand.Rand) {
	p := harness.Producer{ID: id, Stream: s.name, ContentType: contentType(s.name)}
	for _, i := range r.Perm(len(c.nodes)) {
		p.Clients = append(p.Clients, c.nodes[i].client)
	}
	for !c.stopped() {
		next, err := c.produce(&p, s.name, r)
		if err != nil {
			return
		}
		s.learn(next)
		c.rest(time.Duration(r.Int64N(int64(writerPause))))
	}
}

// produce appends once and returns where the append ends, or a later tail when
// the acknowledgement is that of a repeat.
func (c *crew) produce(p *harness.Producer, stream string, r *rand.Rand) (next string, err error) {
	o := op{Client: p.ID, Kind: opProduce, Stream: stream, Seq: p.Seq, Body: batch(stream, p.ID, p.Seq, r), Call: c.history.now()}
	ctx, cancel := context.WithTimeoutCause(c.ctx, ackWithin, errors.New("no acknowledgement in time"))
	defer cancel()
	ack, err := p.Append(ctx, sent(stream, o.Body))
	o.Return, o.Result, o.Next, o.Again = c.history.now(), resultOK, ack.Next, ack.Duplicate
	if err != nil {
		o.Result, o.Error = resultUnknown, err.Error()
		c.fail(err)
	} else {
		c.acknowledged()
	}
	c.history.add(o)
	return ack.Next, err
}
