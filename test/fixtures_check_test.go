package test

import (
	"fmt"
	"net/http"
	"time"

	"mainstem/test/harness"
)

// check wants every wholly acknowledged set intact on every node. It changes
// nothing but, at the very end, the first set's forks.
func (f *fixtures) check(nodes []*harness.Node) {
	f.t.Helper()
	for _, n := range nodes {
		for _, set := range f.made {
			c := checker{client: n.Client(), set: set}
			c.check()
			if c.err != nil {
				f.t.Fatalf("set %d on %s: %v", set.id, n.ID, c.err)
			}
			c.client.CloseIdle()
		}
	}
	f.checkExpiry(nodes)
	c := checker{client: nodes[len(nodes)-1].Client(), set: f.made[0]}
	c.checkCollection()
	if c.err != nil {
		f.t.Fatalf("set %d: %v", c.set.id, c.err)
	}
	f.t.Logf("%d sets of closed, producer, fork, lifetime and deletion state intact on %d nodes (%d sets broken off by a fault)",
		len(f.made), len(nodes), f.broken)
}

// checkExpiry waits for the youngest short-lived stream and wants all of them
// gone.
func (f *fixtures) checkExpiry(nodes []*harness.Node) {
	f.t.Helper()
	time.Sleep(time.Until(f.made[len(f.made)-1].short.Add(expirySlack)))
	for _, n := range nodes {
		for _, set := range f.made {
			if a, err := n.Client().Head(set.name("short"), nil); err != nil || a.Status != 404 {
				f.t.Fatalf("%s on %s: want 404 after its lifetime, got %s, %v", set.name("short"), n.ID, a, err)
			}
		}
	}
}

// checker asks one node about one set and keeps the first thing that is wrong.
type checker struct {
	client *harness.Client
	set    fixture
	err    error
}

// want checks one answer: its status and headers, given as names and values. An
// empty value means that the header must be absent.
func (c *checker) want(status int, a harness.Answer, err error, what string, headers ...string) {
	if c.err != nil {
		return
	}
	if err != nil || a.Status != status {
		c.err = fmt.Errorf("%s: want %d, got %s, %v", what, status, a, err)
		return
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if got := a.Header.Get(headers[i]); got != headers[i+1] {
			c.err = fmt.Errorf("%s: %s is %q, want %q", what, headers[i], got, headers[i+1])
		}
	}
}

func (c *checker) head(status int, kind string, headers ...string) {
	a, err := c.client.Head(c.set.name(kind), nil)
	c.want(status, a, err, "HEAD "+c.set.name(kind), headers...)
}

func (c *checker) post(status int, kind, body string, send []string, headers ...string) {
	h := harness.Headers(append([]string{"Content-Type", text}, send...)...)
	a, err := c.client.Append(c.set.name(kind), h, body)
	c.want(status, a, err, fmt.Sprintf("POST %s %q", c.set.name(kind), send), headers...)
}

// content checks the bytes, as the default level and the local copy tell them.
func (c *checker) content(kind, want string) {
	for _, h := range []http.Header{nil, harness.LocalReads()} {
		got, err := c.client.ReadAll(c.set.name(kind), "-1", h)
		if c.err == nil && (err != nil || string(got.Bytes()) != want) {
			c.err = fmt.Errorf("GET %s %v: got %q, %v, want %q", c.set.name(kind), h, got.Bytes(), err, want)
		}
	}
}

func tuple(id, epoch, seq string) []string {
	return []string{"Producer-Id", id, "Producer-Epoch", epoch, "Producer-Seq", seq}
}

func (c *checker) check() {
	c.head(200, "closed", "Stream-Closed", "true")
	c.post(409, "closed", "more", nil, "Stream-Closed", "true")
	c.post(204, "closed", "end", append(tuple("closer", "0", "0"), "Stream-Closed", "true"), "Stream-Closed", "true")
	c.post(409, "closed", "more", tuple("closer", "0", "1"), "Stream-Closed", "true")
	c.content("closed", "abcend")

	c.post(204, "producer", "y", tuple("p", "3", "1"), "Producer-Epoch", "3", "Producer-Seq", "2")
	c.post(409, "producer", "v", tuple("p", "3", "5"), "Producer-Expected-Seq", "3", "Producer-Received-Seq", "5", "Stream-Closed", "")
	c.post(403, "producer", "v", tuple("p", "2", "0"), "Producer-Epoch", "3")
	c.post(400, "producer", "v", tuple("p", "4", "1"))
	c.post(409, "producer", "v", []string{"Stream-Seq", "k2"}, "Stream-Closed", "")
	c.content("producer", "xyz")

	c.head(410, "source")
	c.post(410, "source", "more", nil)
	a, err := c.client.Create(c.set.name("source"), harness.Headers("Content-Type", text), "")
	c.want(409, a, err, "PUT over a soft-deleted stream")
	c.content("fork", "01234F")
	c.content("forkling", "01234F")

	c.head(200, "ttl", "Stream-TTL", "3600")
	c.content("ttl", "t")
	c.checkExpiresAt()
	c.head(404, "deleted")
}

func (c *checker) checkExpiresAt() {
	a, err := c.client.Head(c.set.name("expires"), nil)
	c.want(200, a, err, "HEAD "+c.set.name("expires"), "Stream-TTL", "")
	if c.err != nil {
		return
	}
	got, err := time.Parse(time.RFC3339, a.Header.Get("Stream-Expires-At"))
	if err != nil || !got.Equal(c.set.expires) {
		c.err = fmt.Errorf("%s: Stream-Expires-At is %v, %v, want %v", c.set.name("expires"), got, err, c.set.expires)
	}
}

// checkCollection deletes the set's forks and wants the soft-deleted source
// collected with the last: its references were counted right.
func (c *checker) checkCollection() {
	steps := []struct {
		status int
		kind   string
	}{{204, "forkling"}, {410, "source"}, {204, "fork"}, {404, "source"}, {404, "fork"}}
	for _, s := range steps {
		a, err := c.client.Delete(c.set.name(s.kind))
		c.want(s.status, a, err, "DELETE "+s.kind)
	}
	a, err := c.client.Create(c.set.name("source"), harness.Headers("Content-Type", text), "new")
	c.want(201, a, err, "PUT over a collected stream")
	c.content("source", "new")
}
