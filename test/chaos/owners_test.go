package chaos

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"mainstem/test/harness"
)

// owner makes streams that nobody else writes to, one after the other: creates,
// appends, forks, closes and deletes. It repeats each step until it knows that
// it was carried out, so that what must be there in the end follows from its
// history alone.
type owner struct {
	crew  *crew
	id    string
	round int
	rand  *rand.Rand
}

// mark is the end of an append, from which a fork may begin.
type mark struct{ offset string }

func (o *owner) run() {
	for i := 0; !o.crew.stopped(); i++ {
		name := fmt.Sprintf("life/r%d-%s-%d", o.round, o.id, i)
		if err := o.live(name); err != nil {
			o.crew.fail(fmt.Errorf("%s: %w", name, err))
			return
		}
		o.crew.rest(ownerPause)
	}
}

// live makes one stream and perhaps a fork of it.
func (o *owner) live(name string) error {
	plain := harness.Headers("Content-Type", contentType(name))
	a, err := o.persist(op{Kind: opCreate, Stream: name}, []int{201}, []int{200}, func(c *harness.Client) (harness.Answer, error) {
		return c.Create(name, plain, "")
	})
	if err != nil {
		return err
	}
	marks, err := o.fill(name, o.id, []mark{{a.Next()}})
	if err != nil {
		return err
	}
	forked := o.rand.IntN(2) == 0
	if forked {
		if err := o.fork(name, marks[o.rand.IntN(len(marks))]); err != nil {
			return err
		}
	}
	if o.rand.IntN(2) == 0 {
		if err := o.end(name, plain); err != nil {
			return err
		}
	}
	if o.rand.IntN(3) > 0 {
		return nil
	}
	return o.remove(name, forked)
}

// fill appends some batches and returns where they end.
func (o *owner) fill(name, producer string, marks []mark) ([]mark, error) {
	p := harness.Producer{ID: producer, Stream: name, ContentType: contentType(name)}
	for _, i := range o.rand.Perm(len(o.crew.nodes)) {
		p.Clients = append(p.Clients, o.crew.nodes[i].client)
	}
	for range 1 + o.rand.IntN(3) {
		next, err := o.crew.produce(&p, name, o.rand)
		if err != nil {
			return nil, err
		}
		marks = append(marks, mark{next})
	}
	return marks, nil
}

func (o *owner) fork(source string, at mark) error {
	name := source + ".fork"
	h := harness.Headers("Stream-Forked-From", harness.StreamPath(source), "Stream-Fork-Offset", at.offset)
	_, err := o.persist(op{Kind: opFork, Stream: name, Source: source, From: at.offset}, []int{201}, []int{200}, func(c *harness.Client) (harness.Answer, error) {
		return c.Create(name, h, "")
	})
	if err == nil {
		_, err = o.fill(name, o.id+"-fork", nil)
	}
	return err
}

// end closes a stream. Every node must know at once.
func (o *owner) end(name string, plain http.Header) error {
	_, err := o.persist(op{Kind: opClose, Stream: name}, []int{204}, nil, func(c *harness.Client) (harness.Answer, error) {
		return c.Append(name, harness.Headers("Stream-Closed", "true"), "")
	})
	if err != nil {
		return err
	}
	a, err := o.persist(op{Kind: opHead, Stream: name}, []int{200}, nil, func(c *harness.Client) (harness.Answer, error) { return c.Head(name, nil) })
	if err != nil {
		return err
	}
	if !a.Closed() {
		return fmt.Errorf("closed, acknowledged, and then open to HEAD: %s", a)
	}
	_, err = o.persist(op{Kind: opAppend, Stream: name}, []int{409}, nil, func(c *harness.Client) (harness.Answer, error) { return c.Append(name, plain, "late\n") })
	return err
}

// remove deletes a stream. Every node must know at once; one that was forked
// keeps its name.
func (o *owner) remove(name string, forked bool) error {
	gone := http.StatusNotFound
	if forked {
		gone = http.StatusGone
	}
	_, err := o.persist(op{Kind: opDelete, Stream: name}, []int{204}, []int{gone}, func(c *harness.Client) (harness.Answer, error) { return c.Delete(name) })
	if err == nil {
		_, err = o.persist(op{Kind: opHead, Stream: name}, []int{gone}, nil, func(c *harness.Client) (harness.Answer, error) { return c.Head(name, nil) })
	}
	return err
}

// persist sends a request to some node, again and again, until one of the wanted
// answers comes; after a try whose outcome is unknown, those of a repeat are
// taken too. Any other answer that no fault explains is an error.
func (o *owner) persist(record op, want, repeat []int, send func(*harness.Client) (harness.Answer, error)) (harness.Answer, error) {
	lost := false
	for end := time.Now().Add(ackWithin); ; time.Sleep(pauseOnError) {
		n := o.crew.any(o.rand)
		r := record
		r.Client, r.Node, r.Call = o.id, n.id, o.crew.history.now()
		a, err := send(n.client)
		result, wrong := settle(a, err)
		r.Return, r.Result, r.Status, r.Next, r.Closed = o.crew.history.now(), result, a.Status, a.Next(), a.Closed()
		if err != nil {
			r.Error = err.Error()
		}
		expected := err == nil && (has(want, a.Status) || lost && has(repeat, a.Status))
		if expected && a.Status != http.StatusConflict {
			r.Result, r.Again = resultOK, !has(want, a.Status)
		}
		o.crew.history.add(r)
		switch {
		case expected:
			return a, nil
		case err == nil && (wrong != nil || result == resultOK):
			return a, fmt.Errorf("%s at %s: want %v, after a lost answer (%v) also %v, got %s", record.Kind, n.id, want, lost, repeat, a)
		case time.Now().After(end) || o.crew.ctx.Err() != nil:
			return a, fmt.Errorf("%s: no answer within %v: %s, %v", record.Kind, ackWithin, a, err)
		}
		lost = lost || result == resultUnknown
	}
}

func has(set []int, n int) bool {
	for _, m := range set {
		if m == n {
			return true
		}
	}
	return false
}
