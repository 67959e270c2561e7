package sim

import (
	"context"
	"strings"
	"testing"
	"time"
)

const (
	ttl = 2 * time.Second
	// expiryLag is how long after its deadline a stream may still be seen.
	expiryLag = 500 * time.Millisecond
)

var ttlHeaders = Headers{"Content-Type": "text/plain", "Stream-TTL": "2"}

// skewedCluster has clocks that are five seconds apart; lead says how wrong the
// leader's is.
func skewedCluster(t *testing.T, dir string, lead time.Duration) *Cluster {
	c := New(t, Options{Dir: dir})
	leader := c.WaitLeader()
	leader.Clock.Set(lead)
	rest := c.Others(leader.ID)
	for _, skew := range []time.Duration{-5 * time.Second, 0, 5 * time.Second} {
		if skew != lead {
			c.Clock(rest[0]).Set(skew)
			rest = rest[1:]
		}
	}
	return c
}

// eachLeader runs f in clusters of skewed clocks, with the leader's behind, right
// and ahead.
func eachLeader(t *testing.T, f func(t *testing.T, c *Cluster)) {
	for _, lead := range []time.Duration{-5 * time.Second, 0, 5 * time.Second} {
		t.Run("leader's clock "+lead.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, dir string) { f(t, skewedCluster(t, dir, lead)) })
		})
	}
}

// expectEnd wants a stream to be seen by every node until it is due, and by none
// that is asked expiryLag later. HEAD asks, which renews nothing.
func expectEnd(t *testing.T, c *Cluster, name string, due time.Time) (asked int) {
	t.Helper()
	for time.Until(due) > 20*time.Millisecond {
		for _, n := range c.Running() {
			ask(t, n, "HEAD", name, nil, "", 200)
			asked++
		}
		time.Sleep(20 * time.Millisecond)
	}
	time.Sleep(time.Until(due.Add(expiryLag)))
	for _, n := range c.Running() {
		ask(t, n, "HEAD", name, nil, "", 404)
		ask(t, n, "GET", name+"?offset=-1", nil, "", 404)
		ask(t, n, "POST", name, text, "late", 404)
		if got := ask(t, n, "GET", name+"?offset=-1", Headers{"Stream-Read-Consistency": "local"}, "", 200, 404); got.Status != 404 {
			t.Errorf("the copy of %s still has the stream: %v", n.ID, got)
		}
		asked += 4
	}
	return asked
}

func TestReadsKeepAStreamAliveWhateverTheClocksSay(t *testing.T) {
	eachLeader(t, func(t *testing.T, c *Cluster) {
		ask(t, c.Node("n1"), "PUT", "s", ttlHeaders, "x", 201)
		reads := 0
		for range 60 {
			time.Sleep(1500 * time.Millisecond)
			ask(t, c.Node(c.IDs[reads%3]), "GET", "s?offset=-1", nil, "", 200)
			reads++
		}
		asked := expectEnd(t, c, "s", time.Now().Add(ttl))
		t.Logf("%d reads kept it alive, %d questions at its end", reads, asked)
	})
}

func TestHeadDoesNotRenew(t *testing.T) {
	eachLeader(t, func(t *testing.T, c *Cluster) {
		ask(t, c.Node("n2"), "PUT", "s", ttlHeaders, "x", 201)
		t.Logf("%d questions", expectEnd(t, c, "s", time.Now().Add(ttl)))
	})
}

func TestAppendsRenewThroughEveryNode(t *testing.T) {
	eachLeader(t, func(t *testing.T, c *Cluster) {
		ask(t, c.Node("n3"), "PUT", "s", ttlHeaders, "x", 201)
		for i := range 30 {
			time.Sleep(1900 * time.Millisecond)
			ask(t, c.Node(c.IDs[i%3]), "POST", "s", text, "y", 204)
		}
		t.Logf("%d questions", expectEnd(t, c, "s", time.Now().Add(ttl)))
	})
}

func TestAnExpiryTimeNeverSlides(t *testing.T) {
	eachLeader(t, func(t *testing.T, c *Cluster) {
		leader := c.WaitLeader()
		due := leader.Clock.Now().Add(4 * time.Second)
		h := Headers{"Content-Type": "text/plain", "Stream-Expires-At": due.UTC().Format(time.RFC3339Nano)}
		ask(t, c.Node("n1"), "PUT", "s", h, "x", 201)
		for i := range 7 { // until half a second before
			time.Sleep(500 * time.Millisecond)
			ask(t, c.Node(c.IDs[i%3]), "GET", "s?offset=-1", nil, "", 200)
			ask(t, c.Node(c.IDs[i%3]), "POST", "s", text, "y", 204)
		}
		t.Logf("%d questions", expectEnd(t, c, "s", time.Now().Add(due.Sub(leader.Clock.Now()))))
	})
}

func TestLiveReadersKeepAStreamAlive(t *testing.T) {
	open := map[string]func(t *testing.T, ctx context.Context, n *Node, at string){
		"sse": func(t *testing.T, ctx context.Context, n *Node, at string) {
			tail, reply, err := n.Follow(ctx, "s", at)
			if err != nil || tail == nil {
				t.Errorf("follow at %s: %v %v", n.ID, reply, err)
				return
			}
			for err == nil {
				_, err = tail.Event()
			}
		},
		"long-poll": func(t *testing.T, ctx context.Context, n *Node, at string) {
			for ctx.Err() == nil {
				r, err := n.Call(ctx, "GET", Base+"s?live=long-poll&offset="+at, nil, "")
				if err == nil && r.Status != 204 {
					t.Errorf("long-poll at %s: got %v, want 204", n.ID, r)
					return
				}
			}
		},
	}
	for kind, live := range open {
		t.Run(kind, func(t *testing.T) {
			eachLeader(t, func(t *testing.T, c *Cluster) {
				asked := 0
				for _, n := range c.Running() {
					at := ask(t, n, "PUT", "s", ttlHeaders, "x", 201).Header.Get("Stream-Next-Offset")
					ctx, leave := context.WithCancel(context.Background())
					gone := make(chan struct{})
					go func() {
						defer close(gone)
						live(t, ctx, n, at)
					}()
					for range 70 { // two long-polls, and about one SSE connection
						time.Sleep(750 * time.Millisecond)
						for _, other := range c.Running() {
							ask(t, other, "HEAD", "s", nil, "", 200)
							asked++
						}
					}
					leave()
					<-gone
					time.Sleep(ttl + expiryLag)
					for _, other := range c.Running() {
						ask(t, other, "HEAD", "s", nil, "", 404)
						asked++
					}
				}
				t.Logf("%d questions", asked)
			})
		})
	}
}

func TestTouchesThroughManyNodesDoNotShortenALife(t *testing.T) {
	eachLeader(t, func(t *testing.T, c *Cluster) {
		h := Headers{"Content-Type": "text/plain", "Stream-TTL": "20"}
		ask(t, c.Node("n1"), "PUT", "s", h, strings.Repeat("x", 100), 201)
		for i := range 20 { // collected renewals: read at the behind node, then at the one ahead
			time.Sleep(9 * time.Second)
			ask(t, c.Node(c.IDs[i%3]), "GET", "s?offset=-1", nil, "", 200)
		}
	})
}
