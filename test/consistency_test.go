package test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	raceFor       = 5 * time.Second
	raceWorkers   = 12
	createNames   = 20
	createCallers = 30
)

// TestReadYourWritesThroughEveryNode writes through one node and reads through
// another as soon as the answer is there, in every way a client may read.
func TestReadYourWritesThroughEveryNode(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	var reads atomic.Int64
	var wait sync.WaitGroup
	for i := range raceWorkers {
		wait.Go(func() {
			r := racer{name: fmt.Sprintf("race/%d", i), rand: rand.New(rand.NewPCG(uint64(i), 1)), reads: &reads}
			for _, n := range c.Nodes {
				r.clients = append(r.clients, n.Client())
			}
			if err := r.run(raceFor); err != nil {
				t.Errorf("%s: %v", r.name, err)
			}
		})
	}
	wait.Wait()
	if !t.Failed() {
		t.Logf("%d reads through another node right after the acknowledgement, none behind it; copies equal: %+v", reads.Load(), c.WaitEqual())
	}
}

// racer writes to one stream and reads it, each time through some other node.
type racer struct {
	name    string
	clients []*harness.Client
	rand    *rand.Rand
	reads   *atomic.Int64
	tail    string
	content strings.Builder
}

func (r *racer) run(duration time.Duration) error {
	plain := harness.Headers("Content-Type", text)
	a, err := r.any().Create(r.name, plain, "")
	if err != nil || a.Status != http.StatusCreated {
		return fmt.Errorf("create: %s, %v", a, err)
	}
	r.tail = a.Next()
	for end, i := time.Now().Add(duration), 0; time.Now().Before(end); i++ {
		body := fmt.Sprintf("%d,", i)
		a, err := r.any().Append(r.name, plain, body)
		if err != nil || a.Status != http.StatusNoContent {
			return fmt.Errorf("append %d: %s, %v", i, a, err)
		}
		before := r.tail
		r.tail = a.Next()
		r.content.WriteString(body)
		if err := r.look(i%4, before, body); err != nil {
			return fmt.Errorf("after append %d: %w", i, err)
		}
		r.reads.Add(1)
	}
	return r.remove(plain)
}

func (r *racer) any() *harness.Client { return r.clients[r.rand.IntN(len(r.clients))] }

// look reads in one of four ways; before is the tail before the last append.
func (r *racer) look(way int, before, body string) error {
	var a harness.Answer
	var err error
	want := body
	switch way {
	case 0:
		a, err = r.any().Head(r.name, nil)
		want = ""
	case 1:
		a, err = r.any().Read(r.name, before, nil)
	case 2:
		a, err = r.any().LongPoll(r.name, before)
	case 3:
		a, err = r.any().Read(r.name, "-1", nil)
		want = r.content.String()
	}
	if err != nil || a.Status != http.StatusOK || a.Next() != r.tail || string(a.Body) != want {
		return fmt.Errorf("way %d: want %q to %s, got %s, %v", way, want, r.tail, a, err)
	}
	return nil
}

// remove deletes the stream and makes it anew: nobody may see the old one.
func (r *racer) remove(plain http.Header) error {
	if a, err := r.any().Delete(r.name); err != nil || a.Status != http.StatusNoContent {
		return fmt.Errorf("delete: %s, %v", a, err)
	}
	for _, c := range r.clients {
		if a, err := c.Read(r.name, "-1", nil); err != nil || a.Status != http.StatusNotFound {
			return fmt.Errorf("read a deleted stream: %s, %v", a, err)
		}
	}
	if a, err := r.any().Create(r.name, plain, "anew"); err != nil || a.Status != http.StatusCreated || a.Next() <= r.tail {
		return fmt.Errorf("create again, offsets above %s: %s, %v", r.tail, a, err)
	}
	for _, c := range r.clients {
		if a, err := c.Read(r.name, "-1", nil); err != nil || string(a.Body) != "anew" {
			return fmt.Errorf("read the new stream: %s, %v", a, err)
		}
		if a, err := c.Read(r.name, r.tail, nil); err != nil || a.Status != http.StatusGone {
			return fmt.Errorf("an offset of the deleted stream: want 410, got %s, %v", a, err)
		}
	}
	return nil
}

// TestOfManyCreatorsOneCreates has many clients make the same stream through
// all nodes at once, as processes that start together do.
func TestOfManyCreatorsOneCreates(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	for i := range createNames {
		name := fmt.Sprintf("gid://app/Room/%d/messages", i)
		var created, existed atomic.Int64
		var wait sync.WaitGroup
		for j := range createCallers {
			wait.Go(func() {
				a, err := c.Nodes[j%len(c.Nodes)].Client().Create(name, harness.Headers("Content-Type", "application/json"), "")
				switch {
				case err != nil:
					t.Errorf("create %s: %v", name, err)
				case a.Status == http.StatusCreated:
					created.Add(1)
				case a.Status == http.StatusOK:
					existed.Add(1)
				default:
					t.Errorf("create %s: %s", name, a)
				}
			})
		}
		wait.Wait()
		if created.Load() != 1 || existed.Load() != createCallers-1 {
			t.Fatalf("%s: %d times 201 and %d times 200, want 1 and %d", name, created.Load(), existed.Load(), createCallers-1)
		}
	}
	t.Logf("%d streams, each made by %d clients through 3 nodes at once: one 201 each", createNames, createCallers)
}
