package test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"
)

// pool is a number of workers that follow one wake stream and race for its
// subscription's claims.
type pool struct {
	control
	id, wakes string

	mu         sync.Mutex
	held       map[uint64]string // generation → the one worker that ever held it
	claims     int
	refused    map[string]int // by code
	finished   int
	released   int
	abandoned  int
	complaints []string

	working sync.WaitGroup
	end     context.CancelFunc
}

func startPool(t *testing.T, c control, id, wakes string, workers int) *pool {
	ctx, cancel := context.WithCancel(t.Context())
	p := &pool{control: c, id: id, wakes: wakes, held: map[uint64]string{}, refused: map[string]int{}, end: cancel}
	for i := range workers {
		p.working.Go(func() { p.work(ctx, fmt.Sprintf("worker-%d", i+1)) })
	}
	t.Cleanup(p.stop)
	return p
}

func (p *pool) stop() {
	p.end()
	p.working.Wait()
}

// work follows the wake stream, through a node until that fails.
func (p *pool) work(ctx context.Context, name string) {
	offset := "-1"
	for ctx.Err() == nil {
		client := p.nodes[rand.IntN(len(p.nodes))].Client()
		a, err := client.LongPollUntil(ctx, p.wakes, offset)
		client.CloseIdle()
		if err != nil || a.Status != http.StatusOK && a.Status != http.StatusNoContent {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if a.Status == http.StatusOK {
			var events []struct {
				Type           string `json:"type"`
				SubscriptionID string `json:"subscription_id"`
				Generation     uint64 `json:"generation"`
			}
			if err := json.Unmarshal(a.Body, &events); err != nil {
				p.complain("wake events %s: %v", a, err)
			}
			if n := len(events); n > 0 && events[n-1].SubscriptionID == p.id {
				p.race(ctx, name)
			}
		}
		if next := a.Next(); next != "" {
			offset = next
		}
	}
}

// race claims, and works if it wins. Nothing is known of a claim whose answer was
// lost: its lease must end.
func (p *pool) race(ctx context.Context, name string) {
	status, claim, err := p.any(ctx, http.MethodPost, subscription(p.id)+"/claim", "", map[string]string{"worker": name})
	switch {
	case err != nil:
		return
	case status != http.StatusOK:
		p.count(func() { p.refused[claim.Error.Code]++ })
		if claim.Error.Code != "ALREADY_CLAIMED" && claim.Error.Code != "NO_PENDING_WORK" {
			p.complain("claim: %d %+v", status, claim.Error)
		}
		return
	}
	p.count(func() {
		p.claims++
		if other, taken := p.held[claim.Generation]; taken {
			p.complaints = append(p.complaints, fmt.Sprintf("generation %d was given to %s and to %s", claim.Generation, other, name))
		}
		p.held[claim.Generation] = name
	})
	call := wakeCall{WakeID: claim.WakeID, Generation: claim.Generation}
	switch mood := rand.IntN(20); {
	case mood == 0: // it dies, and its lease must end
		p.count(func() { p.abandoned++ })
		return
	case mood < 3:
		if status, answer, err := p.any(ctx, http.MethodPost, subscription(p.id)+"/release", claim.Token, call); err == nil {
			p.settled(status, http.StatusNoContent, answer, &p.released)
		}
		return
	case mood < 8: // a heartbeat first
		if status, answer, err := p.any(ctx, http.MethodPost, subscription(p.id)+"/ack", claim.Token, call); err == nil {
			p.settled(status, http.StatusOK, answer, nil)
		}
	}
	call.Acks, call.Done = acksOf(claim.Streams), true
	if status, answer, err := p.any(ctx, http.MethodPost, subscription(p.id)+"/ack", claim.Token, call); err == nil {
		p.settled(status, http.StatusOK, answer, &p.finished)
	}
}

// settled judges the answer to an ack or a release. It may be fenced: an answer
// that was lost has been carried out, or the lease has ended meanwhile.
func (p *pool) settled(status, want int, answer controlBody, counter *int) {
	switch {
	case status == want && counter != nil:
		p.count(func() { *counter++ })
	case status != want && answer.Error.Code == "FENCED":
		p.count(func() { p.refused["FENCED"]++ })
	case status != want:
		p.complain("%d %+v, want %d", status, answer.Error, want)
	}
}

func (p *pool) count(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *pool) complain(format string, args ...any) {
	p.count(func() { p.complaints = append(p.complaints, fmt.Sprintf(format, args...)) })
}

// check fails the test for what the workers saw, and for what the wake stream
// holds: one event per generation, in order, and one for each that was claimed.
func (p *pool) check(t *testing.T) (events int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.complaints {
		t.Errorf("pool: %s", c)
	}
	content, err := p.nodes[0].Client().ReadAll(p.wakes, "-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Generation uint64 `json:"generation"`
	}
	if err := json.Unmarshal(content.JSON(), &list); err != nil {
		t.Fatalf("the wake stream: %v", err)
	}
	announced := map[uint64]bool{}
	for i, e := range list {
		if want := uint64(i + 1); e.Generation != want {
			t.Fatalf("event %d of the wake stream is of generation %d, want %d: each once, in order", i, e.Generation, want)
		}
		announced[e.Generation] = true
	}
	for generation, name := range p.held {
		if !announced[generation] {
			t.Errorf("generation %d, held by %s, has no event", generation, name)
		}
	}
	return len(list)
}
