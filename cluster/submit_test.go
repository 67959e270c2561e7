package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
)

func TestBatchLimits(t *testing.T) {
	for name, test := range map[string]struct {
		bytes, commands int
		size, n         int
		entriesMin      int
	}{
		"commands":                 {commands: 10, size: 10, n: 100, entriesMin: 10},
		"bytes":                    {bytes: 10_000, size: 1000, n: 100, entriesMin: 11},
		"each larger than a batch": {bytes: 1000, size: 5000, n: 20, entriesMin: 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options()
				o.Config = func(_ string, cfg *cluster.Config) {
					cfg.MaxBatchBytes, cfg.MaxBatchCommands = test.bytes, test.commands
				}
				c := clustertest.Of(t, 3, o)
				m := c.Follower()
				var wg sync.WaitGroup
				for i := range test.n {
					wg.Go(func() {
						if _, err := m.Submit(t.Context(), command(fmt.Sprint(i)+strings.Repeat("x", test.size))); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				fence(t, m)
				seen := map[string]bool{}
				for _, d := range logOf(m) {
					seen[d] = true
				}
				if len(seen) != test.n {
					t.Fatalf("%d of %d applied", len(seen), test.n)
				}
				if got := m.Machine.(*clustertest.Counter).Entries(); got < test.entriesMin {
					t.Fatalf("%d entries, at least %d were due", got, test.entriesMin)
				}
			})
		})
	}
}

func TestLargeCommandPassesThroughFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		m := c.Follower()
		body := strings.Repeat("0123456789abcdef", 2<<20) // 32 MiB
		submit(t, m, body)
		fence(t, m)
		if got := logOf(m); len(got) != 1 || got[0] != body {
			t.Fatal("it is not what was sent")
		}
		if _, err := m.Submit(t.Context(), command(body+body)); !errors.Is(err, cluster.ErrTooLarge) {
			t.Fatalf("64 MiB: %v", err)
		}
	})
}

func TestCallerThatLeavesIsToldUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		leader := c.WaitLeader()
		c.Net.Isolate(leader.ID, c.IDs()...)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := leader.Submit(ctx, command("x"))
		if !errors.Is(err, cluster.ErrOutcomeUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("answered %v", err)
		}
	})
}

func TestSubmitsRideOverATransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registries := map[string]*prometheus.Registry{}
		o := options()
		o.Config = func(id string, cfg *cluster.Config) {
			registries[id] = prometheus.NewRegistry()
			cfg.Metrics = registries[id]
		}
		o.Stores = func(string) cluster.Stores { // there is always something under way
			s := clustertest.NewStores()
			s.Log = heldLog{s.Log, &hold{}, 5 * time.Millisecond}
			return s
		}
		c := clustertest.Of(t, 3, o)
		stop := make(chan struct{})
		var acked atomic.Int64
		var wg sync.WaitGroup
		for _, id := range c.IDs() {
			for w := range 5 {
				wg.Go(func() {
					for i := 0; ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						if _, err := c.Node(id).Submit(t.Context(), command(fmt.Sprint(id, w, i))); err != nil {
							t.Errorf("%s: %v", id, err)
							return
						}
						acked.Add(1)
						time.Sleep(3 * time.Millisecond)
					}
				})
			}
		}
		for range 10 {
			time.Sleep(500 * time.Millisecond)
			if err := c.WaitLeader().TransferLeadership(t.Context()); err != nil {
				t.Error(err)
			}
		}
		close(stop)
		wg.Wait()
		fenceAll(t, c)
		for _, id := range c.IDs() {
			if got := len(logOf(c.Node(id))); int64(got) != acked.Load() {
				t.Fatalf("%s applied %d, %d were acknowledged", id, got, acked.Load())
			}
		}
		// Nothing is under way when leadership passes on.
		for id, r := range registries {
			if got := counter(t, r, "mainstem_batch_doubts_total"); got != 0 {
				t.Errorf("%s had to propose %v batches again", id, got)
			}
		}
	})
}

// A node that is stopped under load answers each caller one of three ways, hands
// leadership over, and leaves no goroutine. The others fail nothing.
func TestCloseUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it panics when goroutines are left
		c := clustertest.Of(t, 3, options())
		leader := c.WaitLeader()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for _, id := range c.IDs() {
			m := c.Node(id)
			for w := range 8 {
				wg.Go(func() {
					for i := 0; ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						_, err := m.Submit(t.Context(), command(fmt.Sprint(id, w, i)))
						if m == leader && errors.Is(err, cluster.ErrClosing) {
							return
						}
						if err != nil {
							t.Errorf("%s: %v", id, err)
							return
						}
						time.Sleep(time.Millisecond)
					}
				})
			}
		}
		time.Sleep(time.Second)
		start := time.Now()
		c.Stop(leader.ID)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("close took %v", took)
		}
		if err := leader.Close(); err != nil {
			t.Errorf("the second close: %v", err)
		}
		time.Sleep(time.Second)
		close(stop)
		wg.Wait()
		c.Close()
	})
}

func TestCloseWithoutQuorumEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Of(t, 3, options())
		leader := c.WaitLeader()
		c.Net.Isolate(leader.ID, c.IDs()...)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := leader.Submit(t.Context(), command("x")); err == nil {
					t.Error("acknowledged without a quorum")
				}
			})
		}
		time.Sleep(time.Millisecond)
		start := time.Now()
		c.Stop(leader.ID)
		if took := time.Since(start); took > 20*time.Second {
			t.Fatalf("close took %v", took)
		}
		wg.Wait()
	})
}

func TestLeaderClockFarAheadIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := options()
		var skew sync.Map
		o.Config = func(id string, cfg *cluster.Config) {
			cfg.Now = func() time.Time {
				d, _ := skew.LoadOrStore(id, time.Duration(0))
				return time.Now().Add(d.(time.Duration))
			}
		}
		c := clustertest.Of(t, 3, o)
		time.Sleep(3 * time.Second) // clocks are known
		leader := c.WaitLeader()
		at := func(data string) time.Duration {
			submit(t, leader, data)
			log := leader.Machine.(*clustertest.Counter).Log()
			return time.UnixMilli(int64(log[len(log)-1].At)).Sub(time.Now()).Round(time.Second)
		}
		for _, test := range []struct{ ahead, want time.Duration }{
			{0, 0},
			{30 * time.Second, 30 * time.Second},
			{2 * time.Hour, time.Minute},
			{-2 * time.Hour, -2 * time.Hour},
		} {
			skew.Store(leader.ID, test.ahead)
			if got := at("x"); got != test.want {
				t.Fatalf("%v ahead: the batch was stamped %v ahead, not %v", test.ahead, got, test.want)
			}
		}
	})
}

// counter reads one counter.
func counter(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}
