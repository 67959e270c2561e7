package test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	shortTTL     = 3 * time.Second
	expirySlack  = 2 * time.Second // a deadline is met at the latest this much after it
	fixturePause = 30 * time.Millisecond
)

// fixtures is the state beside appended bytes that must survive: closed
// streams, producers, forks, lifetimes, deletions. One goroutine makes set after
// set while nodes die; a set that met an error is left out, one that was wholly
// acknowledged is checked on every node.
type fixtures struct {
	t       *testing.T
	clients []*harness.Client
	stop    chan struct{}
	wait    sync.WaitGroup
	made    []fixture // written by the maker until it has ended
	broken  int       // sets left out because an answer was lost
	err     error     // an answer that no valid request may get
}

// fixture is one set.
type fixture struct {
	id      int
	expires time.Time // of the stream with a fixed end
	short   time.Time // when the short-lived stream must be gone, slack aside
}

func (f fixture) name(kind string) string { return fmt.Sprintf("fixture/%s-%d", kind, f.id) }

func startFixtures(t *testing.T, urls []string) *fixtures {
	f := &fixtures{t: t, stop: make(chan struct{})}
	for _, u := range urls {
		f.clients = append(f.clients, harness.NewClient(u))
	}
	f.wait.Go(f.run)
	return f
}

func (f *fixtures) run() {
	for id := 0; f.err == nil; id++ {
		select {
		case <-f.stop:
			return
		case <-time.After(fixturePause):
		}
		m := maker{f: f, set: fixture{id: id}}
		if m.make() {
			f.made = append(f.made, m.set)
		} else {
			f.broken++
		}
	}
}

// finish ends the making of sets.
func (f *fixtures) finish() {
	f.t.Helper()
	close(f.stop)
	f.wait.Wait()
	if f.err != nil {
		f.t.Fatalf("a fixture got an answer no valid request may get: %v", f.err)
	}
	if len(f.made) == 0 {
		f.t.Fatal("no set of fixtures was made: nothing to check")
	}
}

// maker makes one set. Its steps stop at the first answer that is lost.
type maker struct {
	f    *fixtures
	set  fixture
	at   int
	lost bool
	next string // Stream-Next-Offset of the last answer
}

// step sends one request and wants one status. 5xx and broken connections are
// the faults' doing; anything else is the product's.
func (m *maker) step(want int, method, kind, body string, headers ...string) {
	if m.lost || m.f.err != nil {
		return
	}
	m.at++
	c := m.f.clients[(m.set.id+m.at)%len(m.f.clients)]
	name, h := m.set.name(kind), harness.Headers(headers...)
	var a harness.Answer
	var err error
	switch method {
	case http.MethodPut:
		a, err = c.Create(name, h, body)
	case http.MethodPost:
		a, err = c.Append(name, h, body)
	case http.MethodDelete:
		a, err = c.Delete(name)
	}
	switch {
	case err != nil || a.Status >= 500:
		m.lost = true
	case a.Status != want:
		m.f.err = fmt.Errorf("%s %s %v: want %d, got %s", method, name, headers, want, a)
	}
	m.next = a.Next()
}

const text = "text/plain"

// make tells whether the whole set was acknowledged.
func (m *maker) make() bool {
	put, post, del := http.MethodPut, http.MethodPost, http.MethodDelete

	m.step(201, put, "closed", "abc", "Content-Type", text)
	m.step(200, post, "closed", "end", "Content-Type", text, "Stream-Closed", "true",
		"Producer-Id", "closer", "Producer-Epoch", "0", "Producer-Seq", "0")

	m.step(201, put, "producer", "", "Content-Type", text)
	for seq, body := range []string{"x", "y", "z"} {
		m.step(200, post, "producer", body, "Content-Type", text, "Stream-Seq", fmt.Sprintf("k%d", seq),
			"Producer-Id", "p", "Producer-Epoch", "3", "Producer-Seq", fmt.Sprint(seq))
	}

	m.step(201, put, "source", "01234", "Content-Type", text)
	middle := m.next
	m.step(204, post, "source", "56789", "Content-Type", text)
	m.step(201, put, "fork", "", "Stream-Forked-From", harness.StreamPath(m.set.name("source")), "Stream-Fork-Offset", middle)
	m.step(204, post, "fork", "F", "Content-Type", text)
	m.step(201, put, "forkling", "", "Stream-Forked-From", harness.StreamPath(m.set.name("fork")))
	m.step(204, del, "source", "")

	m.step(201, put, "ttl", "t", "Content-Type", text, "Stream-TTL", "3600")
	m.set.expires = time.Now().Add(time.Hour).Truncate(time.Second)
	m.step(201, put, "expires", "e", "Content-Type", text, "Stream-Expires-At", m.set.expires.UTC().Format(time.RFC3339))
	m.step(201, put, "short", "s", "Content-Type", text, "Stream-TTL", fmt.Sprint(int(shortTTL.Seconds())))
	m.set.short = time.Now().Add(shortTTL)

	m.step(201, put, "deleted", "d", "Content-Type", text)
	m.step(204, del, "deleted", "")
	return !m.lost && m.f.err == nil
}
