package cluster

import (
	"sync/atomic"

	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are this package's numbers. None has a label that a client chooses.
type metrics struct {
	leaderChanges prometheus.Counter
	stageQueue    prometheus.Observer
	stageRaft     prometheus.Observer
	stageForward  prometheus.Observer
	stageApply    prometheus.Observer
	batchCommands prometheus.Histogram
	batchBytes    prometheus.Histogram
	forwards      *prometheus.CounterVec
	fence         prometheus.Histogram
	repeats       prometheus.Counter
	apply         prometheus.Histogram
	applyLongest  longest
	applyLast     atomic.Int64 // in nanoseconds

	registry   prometheus.Registerer
	collectors []prometheus.Collector
}

// gauges are read at each scrape.
type gauges struct {
	isLeader, term, commit, applied, peers   func() float64
	failureTolerance, lastContact, gossiping func() float64
	outOfSpace, hasLeader, voters            func() float64
	members                                  prometheus.Collector
	forwarded                                func() float64
}

func newMetrics(r prometheus.Registerer, g gauges) (*metrics, error) {
	m := &metrics{registry: r}
	seconds := prometheus.ExponentialBuckets(50e-6, 2.5, 14) // 50 µs to 7.5 s
	m.leaderChanges = prometheus.NewCounter(prometheus.CounterOpts{Name: "mainstem_raft_leader_changes_total", Help: "Times this node learnt of a new leader."})
	stages := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "mainstem_append_stage_seconds", Help: "Time that batches of commands spend in each stage.", Buckets: seconds}, []string{"stage"})
	m.batchCommands = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mainstem_batch_commands", Help: "Commands in each batch.", Buckets: prometheus.ExponentialBuckets(1, 2, 11)})
	m.batchBytes = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mainstem_batch_bytes", Help: "Bytes of each batch.", Buckets: prometheus.ExponentialBuckets(64, 4, 10)})
	m.forwards = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mainstem_forwards_total", Help: "Batches forwarded to the leader, by result."}, []string{"result"})
	m.fence = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mainstem_fence_seconds", Help: "Time that linearizable reads wait for their fence.", Buckets: seconds})
	m.repeats = prometheus.NewCounter(prometheus.CounterOpts{Name: "mainstem_batch_doubts_total", Help: "Attempts to propose a batch whose fate is unknown; the batch is proposed again and recognised."})
	m.apply = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "mainstem_apply_seconds", Help: "Time that the machine takes to apply what raft gives it at once.", Buckets: []float64{.0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}})
	m.stageQueue = stages.WithLabelValues("queue")
	m.stageRaft = stages.WithLabelValues("raft")
	m.stageForward = stages.WithLabelValues("forward")
	m.stageApply = stages.WithLabelValues("apply")
	for _, result := range []string{"ok", "not_proposed", "unknown"} {
		m.forwards.WithLabelValues(result)
	}
	m.collectors = []prometheus.Collector{m.leaderChanges, stages, m.batchCommands, m.batchBytes, m.forwards, m.fence, m.repeats, m.apply, g.members}

	for _, gauge := range []struct {
		name, help string
		read       func() float64
	}{
		{"mainstem_raft_is_leader", "1 while this node leads.", g.isLeader},
		{"mainstem_raft_has_leader", "1 while this node knows who leads.", g.hasLeader},
		{"mainstem_raft_voters", "Members that vote.", g.voters},
		{"mainstem_raft_term", "The current term.", g.term},
		{"mainstem_raft_commit_index", "The last index known to be committed.", g.commit},
		{"mainstem_raft_applied_index", "The last command or configuration applied here.", g.applied},
		{"mainstem_raft_peers", "Members of the cluster, this node included.", g.peers},
		{"mainstem_raft_failure_tolerance", "Voters that may fail before writes stop.", g.failureTolerance},
		{"mainstem_raft_last_contact_seconds", "Time since a leader was last heard of.", g.lastContact},
		{"mainstem_cluster_out_of_space", "Voters for whose full disks this node takes no data.", g.outOfSpace},
		{"mainstem_forwarded_bytes", "Bytes of batches of other nodes that this one proposes at the moment.", g.forwarded},
		{"mainstem_gossip_members", "Nodes that gossip believes alive, this node included.", g.gossiping},
		{"mainstem_apply_longest_seconds", "The longest time that the machine took to apply at once since this process started.", m.applyLongest.seconds},
	} {
		m.collectors = append(m.collectors, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: gauge.name, Help: gauge.help}, gauge.read))
	}
	for i, c := range m.collectors {
		if err := r.Register(c); err != nil {
			m.collectors = m.collectors[:i]
			return nil, errors.Join(fmt.Errorf("register metrics: %w", err), m.close())
		}
	}
	return m, nil
}

// close takes the metrics out of the registry, so that a node can be opened
// again in the same process.
func (m *metrics) close() error {
	for _, c := range m.collectors {
		m.registry.Unregister(c)
	}
	return nil
}
