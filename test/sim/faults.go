package sim

import (
	"context"
	"math/rand/v2"
	"time"
)

// Faults breaks a cluster in turn, until Stop.
type Faults struct {
	cluster *Cluster
	rng     *rand.Rand
	counts  map[string]int
}

// fault is one way to break a cluster. It returns how to mend it.
type fault struct {
	name  string
	apply func(f *Faults) (mend func())
}

// skewMax is how wrong a clock may be.
const skewMax = 30 * time.Second

// NewFaults returns what breaks a cluster by a seed.
func NewFaults(c *Cluster, seed uint64) *Faults {
	return &Faults{cluster: c, rng: rand.New(rand.NewPCG(seed, 2)), counts: map[string]int{}}
}

// Run breaks and mends for a while and leaves all nodes running and connected.
func (f *Faults) Run(d time.Duration) map[string]int {
	all := f.all()
	for end := time.Now().Add(d); time.Now().Before(end); {
		one := all[f.rng.IntN(len(all))]
		f.counts[one.name]++
		mend := one.apply(f)
		f.pause(6 * time.Second)
		mend()
		f.pause(3 * time.Second)
	}
	f.cluster.Net.Heal()
	f.revive()
	return f.counts
}

func (f *Faults) pause(most time.Duration) {
	time.Sleep(time.Duration(f.rng.Int64N(int64(most))))
}

func (f *Faults) all() []fault {
	return []fault{
		{"isolate one", func(f *Faults) func() { return f.isolate(f.any()) }},
		{"isolate the leader", func(f *Faults) func() { return f.isolate(f.leader()) }},
		{"one-way cut", (*Faults).oneWay},
		{"leader is not heard", (*Faults).unheard},
		{"leader does not hear", (*Faults).deaf},
		{"bridge", (*Faults).bridge},
		{"shatter", (*Faults).shatter},
		{"flap", (*Faults).flap},
		{"crash one", func(f *Faults) func() { return f.crash(1) }},
		{"crash the leader", func(f *Faults) func() { return f.crashNamed(f.leader()) }},
		{"crash two", func(f *Faults) func() { return f.crash(2) }},
		{"crash all", func(f *Faults) func() { return f.crash(len(f.cluster.IDs)) }},
		{"absence", (*Faults).absence},
		{"isolate and crash", (*Faults).isolateAndCrash},
		{"stop", (*Faults).stop},
		{"transfer", (*Faults).transfer},
		{"skew", (*Faults).skew},
	}
}

func (f *Faults) any() string { return f.cluster.IDs[f.rng.IntN(len(f.cluster.IDs))] }

// leader is one that believes it leads; any node when there is none.
func (f *Faults) leader() string {
	for _, n := range f.cluster.Running() {
		if l, _, _ := n.Cluster.Leader(); l == n.ID {
			return n.ID
		}
	}
	return f.any()
}

func (f *Faults) isolate(id string) func() {
	f.cluster.isolate(id)
	return f.cluster.Net.Heal
}

func (f *Faults) oneWay() func() {
	f.cluster.Net.CutOneWay(f.any(), f.any()) // to itself a node talks without a network
	return f.cluster.Net.Heal
}

func (f *Faults) unheard() func() {
	leader := f.leader()
	for _, other := range f.cluster.Others(leader) {
		f.cluster.Net.CutOneWay(leader, other)
	}
	return f.cluster.Net.Heal
}

func (f *Faults) deaf() func() {
	leader := f.leader()
	for _, other := range f.cluster.Others(leader) {
		f.cluster.Net.CutOneWay(other, leader)
	}
	return f.cluster.Net.Heal
}

// bridge leaves one node that hears both others, who do not hear each other.
func (f *Faults) bridge() func() {
	others := f.cluster.Others(f.any())
	f.cluster.Net.Cut(others[0], others[1])
	return f.cluster.Net.Heal
}

func (f *Faults) shatter() func() {
	for _, id := range f.cluster.IDs {
		f.cluster.isolate(id)
	}
	return f.cluster.Net.Heal
}

func (f *Faults) flap() func() {
	for range 5 {
		f.cluster.isolate(f.any())
		f.pause(400 * time.Millisecond)
		f.cluster.Net.Heal()
		f.pause(400 * time.Millisecond)
	}
	return func() {}
}

func (f *Faults) crash(n int) func() {
	ids := make([]string, 0, n)
	for _, i := range f.rng.Perm(len(f.cluster.IDs))[:n] {
		ids = append(ids, f.cluster.IDs[i])
	}
	return f.crashNamed(ids...)
}

func (f *Faults) crashNamed(ids ...string) func() {
	f.cluster.Crash(ids...)
	return f.revive
}

// absence is long enough for the others to drop what the node has missed.
func (f *Faults) absence() func() {
	mend := f.crash(1)
	f.pause(10 * time.Second)
	return mend
}

func (f *Faults) isolateAndCrash() func() {
	f.cluster.isolate(f.leader())
	f.pause(2 * time.Second)
	f.cluster.Crash(f.any())
	return func() {
		f.cluster.Net.Heal()
		f.revive()
	}
}

func (f *Faults) stop() func() {
	f.cluster.Stop(f.any())
	return f.revive
}

func (f *Faults) transfer() func() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if n := f.cluster.Node(f.leader()); n != nil {
		_ = n.Cluster.TransferLeadership(ctx) // which may fail
	}
	return func() {}
}

func (f *Faults) skew() func() {
	f.cluster.Clock(f.any()).Set(time.Duration(f.rng.Int64N(int64(2*skewMax))) - skewMax)
	return func() {}
}

// revive starts the nodes that do not run.
func (f *Faults) revive() {
	for _, id := range f.cluster.IDs {
		if f.cluster.Node(id) == nil {
			f.cluster.Start(id)
		}
	}
}
