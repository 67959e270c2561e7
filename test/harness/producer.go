package harness

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// retryPause is how long a producer waits before it tries again.
const retryPause = 25 * time.Millisecond

// Producer is one idempotent producer on one stream. It sends one append at a
// time, again and again with the same headers until it is acknowledged, each
// time to the next of its clients.
type Producer struct {
	ID          string
	Stream      string
	ContentType string
	Clients     []*Client

	Epoch   int
	Seq     int // of the next append
	Tries   int // requests sent
	Retries int // requests sent again
	at      int // which client is next
}

// Ack is what an acknowledgement told.
type Ack struct {
	Seq       int
	Next      string // tail as the answer told it
	Duplicate bool   // answered as a repeat
}

// Append sends one body until it is acknowledged or ctx ends. An answer that a
// valid request must never get is an error at once.
func (p *Producer) Append(ctx context.Context, body string, more ...string) (Ack, error) {
	h := p.header(more)
	for try := 0; ; try++ {
		p.Tries++
		if try > 0 {
			p.Retries++
		}
		a, err := p.Clients[p.at%len(p.Clients)].send(http.MethodPost, p.Stream, h, body)
		if err == nil && a.Status < 500 && a.Status != http.StatusTooManyRequests {
			return p.acknowledged(a, try)
		}
		p.at++
		select {
		case <-ctx.Done():
			return Ack{}, fmt.Errorf("%s seq %d on %s: %w; last: %s, %v", p.ID, p.Seq, p.Stream, context.Cause(ctx), a, err)
		case <-time.After(retryPause):
		}
	}
}

func (p *Producer) header(more []string) http.Header {
	h := Headers(more...)
	h.Set("Content-Type", p.ContentType)
	h.Set("Producer-Id", p.ID)
	h.Set("Producer-Epoch", strconv.Itoa(p.Epoch))
	h.Set("Producer-Seq", strconv.Itoa(p.Seq))
	return h
}

func (p *Producer) acknowledged(a Answer, try int) (Ack, error) {
	ack := Ack{Seq: p.Seq, Next: a.Next(), Duplicate: a.Status == http.StatusNoContent}
	switch {
	case a.Status != http.StatusOK && a.Status != http.StatusNoContent:
		return ack, fmt.Errorf("%s epoch %d seq %d on %s, try %d: %s", p.ID, p.Epoch, p.Seq, p.Stream, try, a)
	case ack.Duplicate && try == 0:
		return ack, fmt.Errorf("%s seq %d on %s was sent once and answered as a duplicate: %s", p.ID, p.Seq, p.Stream, a)
	case a.Header.Get("Producer-Seq") != strconv.Itoa(p.Seq) || a.Header.Get("Producer-Epoch") != strconv.Itoa(p.Epoch):
		return ack, fmt.Errorf("%s epoch %d seq %d on %s: other producer state in %s", p.ID, p.Epoch, p.Seq, p.Stream, a)
	case ack.Next == "":
		return ack, fmt.Errorf("%s seq %d on %s: no Stream-Next-Offset in %s", p.ID, p.Seq, p.Stream, a)
	}
	p.Seq++
	return ack, nil
}
