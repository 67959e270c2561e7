package chaos

import (
	"maps"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	weatherMin    = 1500 * time.Millisecond
	weatherMax    = 4 * time.Second
	weatherRounds = 5 // of the whole battery
)

// TestLatePacketsLoseNothing delays, overtakes, doubles and drops packets between
// all nodes and their clients, and to and from one node alone.
func TestLatePacketsLoseNothing(t *testing.T) {
	p := require(t)
	if err := switchRefusal(); err != nil {
		impossible(t, err)
	}
	cluster := harness.NewCluster(t, 3, append(append([]string{}, clientArgs...), tightArgs...)...)
	w := newSwitch(t, cluster)
	cluster.Start()
	cluster.WaitReady()
	s := newStage(t, p, cluster)
	const ms = time.Millisecond
	skies := []struct {
		kind string
		weather
		of func() *harness.Node // who has it worst; nil for all
	}{
		{kind: "packets late", weather: weather{delayMin: 2 * ms, delayMax: 8 * ms}},
		{kind: "packets overtaken", weather: weather{delayMin: 0, delayMax: 30 * ms}},
		{kind: "packets doubled", weather: weather{delayMin: 0, delayMax: 5 * ms, doubled: 0.05}},
		{kind: "packets lost", weather: weather{lost: 0.03}},
		{kind: "a leader far away", weather: weather{delayMin: 20 * ms, delayMax: 60 * ms, lost: 0.01}, of: func() *harness.Node { return s.cluster.Leader() }},
		{kind: "a follower far away", weather: weather{delayMin: 30 * ms, delayMax: 120 * ms, lost: 0.02}, of: s.follower},
	}
	for n := range p.pick(1, weatherRounds) {
		s.round(n, func(c *crew) {
			for _, i := range p.rand.Perm(len(skies)) {
				sky := skies[i]
				if sky.of != nil {
					sky.worst = sky.of()
				}
				s.fault(sky.kind)
				w.set(sky.weather)
				time.Sleep(p.between(weatherMin, weatherMax))
				if i%2 == 0 { // elections too
					s.killLeader()
				}
				c.waitAcks(acksBetween)
				w.set(weather{})
				s.cluster.WaitReady()
			}
		})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for kind, n := range maps.All(w.counts) {
		t.Logf("%s: %d", kind, n)
	}
}
