package bench

import (
	"os"
	"sync"
	"time"
)

// Usage is what the processes of the server have used in the measured part.
type Usage struct {
	CPUSeconds float64 `json:"cpu_s"`
	CPUCores   float64 `json:"cpu_cores"`
	MemoryMax  float64 `json:"memory_max_mb"`
	MemoryEnd  float64 `json:"memory_end_mb"`
}

// memoryInterval is how often the memory is looked at.
const memoryInterval = 200 * time.Millisecond

// watch looks at the server's processes and at this one.
type watch struct {
	pids      []int
	begin     time.Time
	cpu, mine float64
	most      float64
	stop      chan struct{}
	stopped   sync.WaitGroup
}

func watchUsage(pids []int) *watch {
	w := &watch{pids: pids, begin: time.Now(), stop: make(chan struct{})}
	w.cpu, w.mine = sum(pids, cpuOf), sum([]int{os.Getpid()}, cpuOf)
	w.stopped.Go(func() {
		tick := time.NewTicker(memoryInterval)
		defer tick.Stop()
		for {
			w.most = max(w.most, sum(w.pids, memoryOf))
			select {
			case <-tick.C:
			case <-w.stop:
				return
			}
		}
	})
	return w
}

// end returns what was used since the beginning; server is nil when no processes
// are watched.
func (w *watch) end() (server *Usage, generator float64) {
	took := time.Since(w.begin).Seconds()
	cpu, mine := sum(w.pids, cpuOf)-w.cpu, sum([]int{os.Getpid()}, cpuOf)-w.mine
	close(w.stop)
	w.stopped.Wait()
	if len(w.pids) == 0 {
		return nil, mine / took
	}
	now := sum(w.pids, memoryOf)
	return &Usage{CPUSeconds: cpu, CPUCores: cpu / took, MemoryMax: max(w.most, now), MemoryEnd: now}, mine / took
}

// sum passes over processes that have ended: then the run has failed anyway.
func sum(pids []int, of func(int) (float64, error)) (total float64) {
	for _, pid := range pids {
		if n, err := of(pid); err == nil {
			total += n
		}
	}
	return total
}
