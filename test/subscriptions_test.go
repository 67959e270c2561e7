package test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mainstem/test/harness"
)

const (
	subscribedStreams = 24
	subscribedWriters = 4
	subscribedPause   = 5 * time.Millisecond // of each writer between appends
	subscribedKills   = 10
	subscribedLease   = 2000 // ms
	poolWorkers       = 5
	coveredWithin     = 40 * time.Second
)

// TestNoWakeIsLostWhileLeadersDie kills the leader ten times while streams are
// written that a webhook and five pull-wake workers follow. In the end each
// subscription's cursors cover all of every stream; each generation was held by
// one worker at most and announced once; and each signature was good.
func TestNoWakeIsLostWhileLeadersDie(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3, "--webhooks-allow-insecure")
	calls := control{c.Nodes}
	receiver := startReceiver(t, calls, nil)
	receiver.handle = receiver.moody
	if a, err := c.Nodes[0].Client().Create("wake/pool", harness.Headers("Content-Type", "application/json"), ""); err != nil || a.Status != 201 {
		t.Fatalf("create the wake stream: %s (%v)", a, err)
	}
	calls.must(t, 201, http.MethodPut, subscription("hook"), map[string]any{
		"type": "webhook", "pattern": "work/**", "webhook": map[string]string{"url": receiver.url + "/hook"}, "lease_ttl_ms": subscribedLease})
	calls.must(t, 201, http.MethodPut, subscription("pool"), map[string]any{
		"type": "pull-wake", "pattern": "work/*", "wake_stream": "wake/pool", "lease_ttl_ms": subscribedLease})
	workers := startPool(t, calls, "pool", "wake/pool", poolWorkers)
	load := startSubscribedLoad(t, c)
	kids := map[string]bool{}
	for kill := range subscribedKills {
		time.Sleep(time.Second)
		dead := c.Leader()
		dead.Kill()
		time.Sleep(500 * time.Millisecond)
		dead.Start()
		dead.WaitReady()
		if kill == subscribedKills/2 {
			rotateKey(t, c)
		}
	}
	load.stop(t)
	tails := calls.tails(t, load.names)
	for _, id := range []string{"hook", "pool"} {
		harness.Eventually(t, coveredWithin, "all of every stream is acked", func() error { return calls.covered(t.Context(), id, tails) })
	}
	workers.stop()
	events := workers.check(t)
	receiver.check(t)
	generations := map[uint64]int{}
	for _, d := range receiver.got() {
		generations[d.Generation]++
		kids[d.kid] = true
	}
	if len(kids) != 2 {
		t.Errorf("deliveries were signed with %d keys, want 2: one was rotated", len(kids))
	}
	if len(generations) < subscribedKills || workers.finished < subscribedKills || events < subscribedKills {
		t.Errorf("too little happened to show anything")
	}
	c.WaitEqual()
	t.Logf("%d kills, %d appends to %d streams; webhook: %d deliveries of %d generations, all verified, %d keys; pool: %d events, %d claims by %d workers, %d finished, %d released, %d abandoned, refused %v",
		subscribedKills, load.appended.Load(), len(load.names), len(receiver.got()), len(generations), len(kids),
		events, workers.claims, poolWorkers, workers.finished, workers.released, workers.abandoned, workers.refused)
}

// rotateKey asks for another signing key.
func rotateKey(t *testing.T, c *harness.Cluster) {
	t.Helper()
	a, err := c.Leader().Client().Do(t.Context(), http.MethodPost, "/v1/cluster/rotate-webhook-key", nil, nil)
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("rotate the signing key: %s (%v)", a, err)
	}
}

// subscribedLoad appends to a number of streams through all nodes.
type subscribedLoad struct {
	names    []string
	appended atomic.Int64
	end      context.CancelFunc
	writers  *errgroup.Group
}

func startSubscribedLoad(t *testing.T, c *harness.Cluster) *subscribedLoad {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &subscribedLoad{end: cancel, writers: new(errgroup.Group)}
	for i := range subscribedStreams {
		l.names = append(l.names, fmt.Sprintf("work/%d", i))
		if a, err := c.Nodes[i%3].Client().Create(l.names[i], harness.Headers("Content-Type", "application/json"), ""); err != nil || a.Status != 201 {
			t.Fatalf("create %s: %s (%v)", l.names[i], a, err)
		}
	}
	var clients []*harness.Client
	for _, n := range c.Nodes {
		clients = append(clients, n.Client())
	}
	for range subscribedWriters {
		l.writers.Go(func() error {
			for ctx.Err() == nil {
				name := l.names[rand.IntN(len(l.names))]
				a, err := clients[rand.IntN(len(clients))].Append(name, harness.Headers("Content-Type", "application/json"), `{"n":1}`)
				if err == nil && a.Status < 300 {
					l.appended.Add(1)
				} else if err == nil && a.Status < 500 {
					return fmt.Errorf("append to %s: %s", name, a)
				}
				time.Sleep(subscribedPause)
			}
			return nil
		})
	}
	t.Cleanup(cancel)
	return l
}

func (l *subscribedLoad) stop(t *testing.T) {
	t.Helper()
	l.end()
	if err := l.writers.Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestRetryScheduleOutlivesTheClusterThatMadeIt kills all three nodes between two
// attempts: the next comes neither before its time, nor does the pause begin
// again at a second.
func TestRetryScheduleOutlivesTheClusterThatMadeIt(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3, "--webhooks-allow-insecure")
	calls := control{c.Nodes}
	receiver := startReceiver(t, calls, func(w http.ResponseWriter, d hookDelivery) { w.WriteHeader(http.StatusInternalServerError) })
	calls.must(t, 201, http.MethodPut, subscription("s"), map[string]any{
		"type": "webhook", "streams": []string{"work/1"}, "webhook": map[string]string{"url": receiver.url}})
	if a, err := c.Nodes[1].Client().Create("work/1", harness.Headers("Content-Type", text), "data"); err != nil || a.Status != 201 {
		t.Fatalf("create: %s (%v)", a, err)
	}
	attempts := func(n int, within time.Duration) []hookDelivery {
		t.Helper()
		harness.Eventually(t, within, fmt.Sprintf("%d attempts", n), func() error {
			if got := len(receiver.got()); got < n {
				return fmt.Errorf("%d so far", got)
			}
			return nil
		})
		return receiver.got()
	}
	attempts(4, 20*time.Second) // at 0, 1, 3 and 7 s; the fifth is due 8 s later
	time.Sleep(500 * time.Millisecond)
	if got := calls.must(t, 200, http.MethodGet, subscription("s"), nil); got.Status != "failed" {
		t.Errorf("status %q between attempts, want failed", got.Status)
	}
	c.Kill()
	c.Start()
	c.WaitReady()
	sent := attempts(5, 20*time.Second)
	pause := sent[4].at.Sub(sent[3].at)
	if pause < 6400*time.Millisecond {
		t.Errorf("the attempt after the restart came %v after the one before it, want 8 s less a fifth at least", pause)
	}
	for i, d := range sent {
		if d.WakeID != sent[0].WakeID || d.Generation != 1 {
			t.Errorf("attempt %d is of wake %s and generation %d, want those of the first", i, d.WakeID, d.Generation)
		}
		if d.kid != sent[0].kid {
			t.Errorf("attempt %d is signed by %s, want %s: the key is made once", i, d.kid, sent[0].kid)
		}
	}
	receiver.check(t)
	var pauses []time.Duration
	for i := range sent[1:] {
		pauses = append(pauses, sent[i+1].at.Sub(sent[i].at).Round(time.Millisecond))
	}
	t.Logf("pauses between attempts: %v; all nodes were killed in the last one", pauses)
}

// TestWebhooksGoNowhereElse asks for targets inside, by address and by redirect.
func TestWebhooksGoNowhereElse(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 1, "--webhooks-allow-insecure")
	calls := control{c.Nodes}
	for i, target := range []string{
		"http://10.0.0.1/hook", "https://10.0.0.1/hook", "https://127.0.0.1/hook", "https://localhost/hook", "http://127.0.0.2/hook",
		"http://[::1]/hook", "https://[::ffff:127.0.0.1]/hook", "https://169.254.169.254/latest", "http://169.254.169.254/latest",
		"https://2130706433/", "https://[fd00:ec2::254]/", "https://[64:ff9b::7f00:1]/", "http://worker.example.com/", "ftp://worker.example.com/",
		"https://metadata.google.internal/", "https://user:secret@worker.example.com/",
	} {
		path := subscription(fmt.Sprintf("bad-%d", i))
		got := calls.must(t, 400, http.MethodPut, path, map[string]any{
			"type": "webhook", "pattern": "work/*", "webhook": map[string]string{"url": target}})
		if got.Error.Code != "WEBHOOK_URL_REJECTED" {
			t.Errorf("%s: code %q, want WEBHOOK_URL_REJECTED", target, got.Error.Code)
		}
		calls.must(t, 404, http.MethodGet, path, nil)
	}
	var inside atomic.Int64
	other := startReceiver(t, calls, func(http.ResponseWriter, hookDelivery) { inside.Add(1) })
	redirector := startReceiver(t, calls, nil)
	redirector.handle = func(w http.ResponseWriter, _ hookDelivery) {
		w.Header().Set("Location", other.url+"/latest/meta-data")
		w.WriteHeader(http.StatusTemporaryRedirect)
		_, _ = io.WriteString(w, `{"done":true}`)
	}
	calls.must(t, 201, http.MethodPut, subscription("s"), map[string]any{
		"type": "webhook", "pattern": "work/*", "webhook": map[string]string{"url": redirector.url}})
	if a, err := c.Nodes[0].Client().Create("work/1", harness.Headers("Content-Type", text), "data"); err != nil || a.Status != 201 {
		t.Fatalf("create: %s (%v)", a, err)
	}
	harness.Eventually(t, 10*time.Second, "two attempts", func() error {
		if n := len(redirector.got()); n < 2 {
			return fmt.Errorf("%d so far", n)
		}
		return nil
	})
	if n := inside.Load() + int64(len(other.got())); n != 0 {
		t.Errorf("%d requests followed a redirect", n)
	}
	if got := calls.must(t, 200, http.MethodGet, subscription("s"), nil); got.Status != "failed" {
		t.Errorf("status %q, want failed: a redirect is no delivery", got.Status)
	}
	redirector.check(t)
}
