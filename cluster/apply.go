package cluster

import (
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// timedMachine measures how long raft waits for the machine.
type timedMachine struct {
	Machine
	metrics *metrics
}

func (n *Node) timedMachine() timedMachine { return timedMachine{n.machine, n.metrics} }

// Apply implements raft.FSM.
func (m timedMachine) Apply(l *raft.Log) any {
	defer m.observe(time.Now())
	return m.Machine.Apply(l)
}

// ApplyBatch implements raft.BatchingFSM.
func (m timedMachine) ApplyBatch(logs []*raft.Log) []any {
	defer m.observe(time.Now())
	return m.Machine.ApplyBatch(logs)
}

func (m timedMachine) observe(start time.Time) {
	took := time.Since(start)
	m.metrics.apply.Observe(took.Seconds())
	m.metrics.stageApply.Observe(took.Seconds())
	m.metrics.applyLongest.note(took)
	m.metrics.applyLast.Store(int64(took))
}

// longest is the longest of some durations. One goroutine notes them.
type longest struct{ atomic.Int64 }

func (l *longest) note(d time.Duration) {
	if int64(d) > l.Load() {
		l.Store(int64(d))
	}
}

func (l *longest) seconds() float64 { return time.Duration(l.Load()).Seconds() }
