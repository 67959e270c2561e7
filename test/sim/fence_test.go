package sim

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestReadsSeeWhatWasAcknowledgedBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, dir string) {
		c := New(t, Options{Dir: dir, Delay: 2 * time.Millisecond})
		ask(t, c.Node("n1"), "PUT", "s", text, "", 201)
		reads := 0
		for i := range 200 {
			writer := c.Node(c.IDs[i%3])
			wrote := ask(t, writer, "POST", "s", text, "x", 204)
			for j, id := range c.IDs {
				switch n := c.Node(id); (i + j) % 4 {
				case 0:
					if got := ask(t, n, "HEAD", "s", nil, "", 200); got.Next() != wrote.Next() {
						t.Fatalf("append %d: HEAD at %s: got %v, want %v", i, id, got.Next(), wrote.Next())
					}
				case 1:
					if got := ask(t, n, "GET", "s?offset=-1", nil, "", 200); len(got.Body) != i+1 {
						t.Fatalf("append %d: GET at %s: got %d bytes", i, id, len(got.Body))
					}
				case 2:
					if got := ask(t, n, "GET", "s?offset=now", nil, "", 200); got.Next() != wrote.Next() {
						t.Fatalf("append %d: now at %s: got %v, want %v", i, id, got.Next(), wrote.Next())
					}
				case 3:
					at := wrote.Next().String()
					if got := ask(t, n, "GET", "s?offset="+at, nil, "", 200); got.Body != "" || !got.UpToDate() {
						t.Fatalf("append %d: read of the tail at %s: got %v", i, id, got)
					}
				}
				reads++
			}
			name := fmt.Sprintf("new-%d", i)
			ask(t, writer, "PUT", name, text, "first", 201)
			ask(t, c.Node(c.IDs[(i+1)%3]), "GET", name+"?offset=-1", nil, "", 200)
			ask(t, c.Node(c.IDs[(i+2)%3]), "HEAD", name, nil, "", 200)
			reads += 2
		}
		t.Logf("%d reads after 400 acknowledged writes", reads)
	})
}

// TestANodeThatIsCutOffNeverClaimsToBeCurrent cuts off a follower, and then the
// leader, writes to the majority and asks the minority.
func TestANodeThatIsCutOffNeverClaimsToBeCurrent(t *testing.T) {
	for name, leads := range map[string]bool{"follower": false, "leader": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, dir string) { cutOff(t, dir, leads) })
		})
	}
}

func cutOff(t *testing.T, dir string, leads bool) {
	c := New(t, Options{Dir: dir})
	leader := c.WaitLeader()
	minority := leader
	if !leads {
		minority = c.Node(c.Others(leader.ID)[0])
	}
	ask(t, leader, "PUT", "s", text, "", 201)
	ask(t, leader, "PUT", "doomed", text, "d", 201)
	old := ask(t, leader, "POST", "s", text, "old;", 204)
	ask(t, minority, "GET", "s?offset=-1", nil, "", 200)
	c.isolate(minority.ID)

	// Requests that run while the node learns that it is alone.
	type answer struct {
		what string
		Reply
		err error
	}
	var questions []func() answer
	question := func(what, method, name string, h Headers, body string) {
		questions = append(questions, func() answer {
			r, err := minority.Ask(method, name, h, body)
			return answer{what, r, err}
		})
	}
	question("HEAD", "HEAD", "s", nil, "")
	question("start", "GET", "s?offset=-1", nil, "")
	question("tail", "GET", "s?offset="+old.Next().String(), nil, "")
	question("now", "GET", "s?offset=now", nil, "")
	question("doomed", "GET", "doomed?offset=-1", nil, "")
	question("created", "GET", "later?offset=-1", nil, "")
	question("new offset", "GET", "s?offset=0000000000000001_0000000000000008", nil, "")
	question("long-poll", "GET", "s?live=long-poll&offset="+old.Next().String(), nil, "")
	question("append", "POST", "s", text, "lost;")
	question("close", "POST", "s", Headers{"Stream-Closed": "true"}, "")
	question("create", "PUT", "elsewhere", text, "")

	majority := c.Others(minority.ID)
	c.WaitLeader(majority...)
	writer := c.Node(majority[0])
	ask(t, writer, "POST", "s", text, "new;", 204)
	ask(t, writer, "DELETE", "doomed", nil, "", 204)
	ask(t, writer, "PUT", "later", text, "later", 201)

	asked := map[int]int{}
	for range 4 { // at once, and seconds later
		answers := make(chan answer, len(questions))
		for _, q := range questions {
			go func() { answers <- q() }()
		}
		for range questions {
			a := <-answers
			switch {
			case a.err != nil:
				t.Errorf("%s: %v", a.what, a.err)
			case a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "":
			case a.Status == http.StatusOK && a.Stale() && !a.UpToDate() && !a.Closed():
			default:
				t.Errorf("%s at a %s that is cut off: got %v %v", a.what, map[bool]string{true: "leader", false: "follower"}[leads], a.Reply, a.Header)
			}
			asked[a.Status]++
		}
	}
	c.Net.Heal()
	c.WaitReady()
	for _, n := range c.Running() {
		got := ask(t, n, "GET", "s?offset=-1", nil, "", 200)
		if !strings.HasPrefix(got.Body, "old;new;") {
			t.Errorf("%s after healing: got %v", n.ID, got)
		}
		ask(t, n, "GET", "doomed?offset=-1", nil, "", 404)
	}
	c.WaitEqual()
	t.Logf("answers of the minority by status: %v", asked)
}

// TestFencesReturnOnAnIdleCluster waits for fences where the last entries of the
// log are such as no machine ever sees.
func TestFencesReturnOnAnIdleCluster(t *testing.T) {
	inBubble(t, func(t *testing.T, dir string) {
		c := New(t, Options{Dir: dir})
		fences := 0
		fenceAll := func(after string) {
			t.Helper()
			for _, n := range c.Running() {
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				if err := n.Cluster.Fence(ctx); err != nil {
					t.Errorf("fence at %s after %s: %v", n.ID, after, err)
				}
				cancel()
				fences++
			}
		}
		fenceAll("an election")
		ask(t, c.Node("n1"), "PUT", "s", text, "x", 201)
		for range 5 {
			leader := c.WaitLeader()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			if err := leader.Cluster.TransferLeadership(ctx); err != nil {
				t.Errorf("transfer: %v", err)
			}
			cancel()
			c.WaitReady()
			fenceAll("a transfer and its barrier")
			time.Sleep(10 * time.Second)
			fenceAll("a transfer and ten idle seconds")
		}
		for _, id := range c.IDs {
			c.Crash(id)
			c.WaitLeader()
			fenceAll("a crash")
			c.Start(id)
			c.WaitReady()
			fenceAll("a restart")
		}
		for _, id := range []string{"n4", "n5"} {
			c.Add(id)
			fenceAll("a start of " + id)
			c.WaitReady()
			fenceAll("the admission of " + id)
			time.Sleep(10 * time.Second) // it comes to vote meanwhile
			fenceAll("ten seconds with " + id)
		}
		t.Logf("%d fences", fences)
	})
}
