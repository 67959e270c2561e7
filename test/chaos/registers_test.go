package chaos

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"mainstem/test/harness"
)

// A register is a small stream with a short and busy life, all of whose history
// is given to Porcupine. Its length is bounded because the search is exponential
// in what overlaps.
const (
	registerClients = 4
	registerOps     = 18 // of each client
	registerPause   = 8 * time.Millisecond
	registerMakers  = 2 // producers, each shared by half the clients
)

// register is one of them.
type register struct {
	crew *crew
	name string
	next [registerMakers + 1]atomic.Int64 // next sequence of each producer, as known
}

// registers makes one register after the other.
func (c *crew) registers(prefix string, source uint64) {
	for i := 0; !c.stopped(); i++ {
		r := &register{crew: c, name: fmt.Sprintf("%s-%d", prefix, i)}
		if err := c.create(r.name, c.random(source)); err != nil {
			c.fail(err)
			return
		}
		var wait sync.WaitGroup
		for j := range registerClients {
			draw := rand.New(rand.NewPCG(c.seed+uint64(i), source+uint64(j)))
			wait.Go(func() { r.use(fmt.Sprintf("client-%d", j), 1+j%registerMakers, draw) })
		}
		wait.Wait()
	}
}

// use does some operations in turn.
func (r *register) use(client string, maker int, draw *rand.Rand) {
	for seq := 0; seq < registerOps && !r.crew.stopped(); seq++ {
		n := r.crew.any(draw)
		o := op{Client: client, Stream: r.name, Node: n.id, Seq: seq, Call: r.crew.history.now()}
		switch way := draw.IntN(100); {
		case way < 40:
			r.append(o, n, draw)
		case way < 60:
			r.produce(o, n, maker, draw)
		case way < 85:
			_ = r.crew.look(o, opRead, n) // recorded, whatever it is
		case way < 97:
			_ = r.crew.look(o, opHead, n)
		default:
			r.close(o, n)
		}
		r.crew.rest(time.Duration(draw.Int64N(int64(registerPause))))
	}
}

func (r *register) append(o op, n endpoint, draw *rand.Rand) {
	o.Kind, o.Body = opAppend, batch(r.name, o.Client, o.Seq, draw)
	a, err := n.client.Append(r.name, harness.Headers("Content-Type", contentType(r.name)), o.Body)
	r.ended(o, a, err)
}

// produce sends the next number of a producer that another client uses too, so
// that two often send the same with different bodies: one is a repeat.
func (r *register) produce(o op, n endpoint, maker int, draw *rand.Rand) {
	number := r.next[maker].Load()
	o.Kind, o.Producer, o.Body = opProduce, maker, batch(r.name, o.Client, o.Seq, draw)
	o.Seq = int(number)
	h := harness.Headers("Content-Type", contentType(r.name), "Producer-Id", fmt.Sprintf("maker-%d", maker),
		"Producer-Epoch", "0", "Producer-Seq", strconv.FormatInt(number, 10))
	a, err := n.client.Append(r.name, h, o.Body)
	if err == nil && a.Status < 300 {
		r.next[maker].CompareAndSwap(number, number+1)
		o.Again = a.Status == http.StatusNoContent
	}
	r.ended(o, a, err)
}

func (r *register) close(o op, n endpoint) {
	o.Kind = opClose
	a, err := n.client.Append(r.name, harness.Headers("Stream-Closed", "true"), "")
	r.ended(o, a, err)
}

// ended records a write. "It is closed" is an answer like any other here.
func (r *register) ended(o op, a harness.Answer, err error) {
	o.Return = r.crew.history.now()
	result, wrong := settle(a, err)
	o.Result, o.Status, o.Next, o.Closed = result, a.Status, a.Next(), a.Closed()
	switch {
	case err != nil:
		o.Error = err.Error()
	case a.Status == http.StatusConflict && reason(a) == "STREAM_CLOSED":
		o.Result, wrong = resultOK, nil
	case result == resultOK:
		r.crew.acknowledged()
	}
	r.crew.history.add(o)
	if wrong != nil {
		r.crew.fail(fmt.Errorf("%s, %s of %s at %s: %w", o.Client, o.Kind, o.Stream, o.Node, wrong))
	}
}
