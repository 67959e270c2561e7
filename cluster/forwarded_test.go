package cluster_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
)

// TestALeaderBoundsWhatOthersHaveOnTheirWay: a batch that finds no room is not
// proposed. It is tried again, and gets through once there is room; if there is none
// in time, its caller is told that nothing was written, which is true.
func TestALeaderBoundsWhatOthersHaveOnTheirWay(t *testing.T) {
	const timeout = 400 * time.Millisecond
	for name, inTime := range map[string]bool{"room comes": true, "no room comes in time": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				registries, disks := map[string]*prometheus.Registry{}, map[string]*hold{}
				o := options()
				o.Config = func(id string, cfg *cluster.Config) {
					registries[id] = prometheus.NewRegistry()
					cfg.Metrics, cfg.ForwardedBytes, cfg.SubmitTimeout = registries[id], 1000, timeout
				}
				o.Stores = func(id string) cluster.Stores {
					s := clustertest.NewStores()
					disks[id] = &hold{}
					s.Log = heldLog{s.Log, disks[id], 0}
					return s
				}
				c := clustertest.Of(t, 3, o)
				leader := c.WaitLeader()
				var others []*clustertest.Member
				for _, id := range c.IDs() {
					if id != leader.ID {
						others = append(others, c.Node(id))
					}
				}
				first, second := others[0], others[1]
				large := strings.Repeat("L", 5000)
				submit(t, first, large) // alone it is let in, however large
				submit(t, second, "opens its session")
				fence(t, second)

				disk := disks[leader.ID]
				disk.close()
				var wg sync.WaitGroup
				var firstErr, secondErr error
				early, late := strings.Repeat("1", 600), strings.Repeat("2", 600)
				wg.Go(func() { _, firstErr = first.Submit(t.Context(), command(early)) })
				time.Sleep(50 * time.Millisecond)
				begin := time.Now()
				wg.Go(func() { _, secondErr = second.Submit(t.Context(), command(late)) })
				time.Sleep(200 * time.Millisecond)
				held := gauge(t, registries[leader.ID], "mainstem_forwarded_bytes")
				if held < 600 || held > 1000 {
					t.Errorf("%v bytes are held for others, want those of the first batch", held)
				}
				if n := notProposed(t, registries[second.ID]); n < 2 {
					t.Errorf("the second batch was refused %v times, want it tried again", n)
				}
				if n := notProposed(t, registries[first.ID]); n != 0 {
					t.Errorf("the first batch was refused %v times", n)
				}
				if inTime {
					disk.open()
				}
				wg.Wait()
				took := time.Since(begin)
				disk.open()
				fenceAll(t, c)
				synctest.Wait()
				want := []string{large, "opens its session", early, late}
				if !inTime {
					want = want[:3]
					if !errors.Is(secondErr, cluster.ErrNoLeader) || errors.Is(secondErr, cluster.ErrOutcomeUnknown) || took < timeout/2 {
						t.Errorf("got %v after %v, want certainty when time is up", secondErr, took)
					}
				} else if firstErr != nil || secondErr != nil {
					t.Errorf("got %v and %v", firstErr, secondErr)
				}
				for _, id := range c.IDs() {
					if got := logOf(c.Node(id)); strings.Join(got, " ") != strings.Join(want, " ") {
						t.Errorf("%s has %.40q, want %.40q", id, got, want)
					}
				}
				if held := gauge(t, registries[leader.ID], "mainstem_forwarded_bytes"); held != 0 {
					t.Errorf("%v bytes are held for nobody", held)
				}
			})
		})
	}
}

// gauge reads one gauge.
func gauge(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// notProposed is how often a node's batches were refused by the leader.
func notProposed(t *testing.T, r *prometheus.Registry) (value float64) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "mainstem_forwards_total" && m.GetLabel()[0].GetValue() == "not_proposed" {
				value = m.GetCounter().GetValue()
			}
		}
	}
	return value
}
