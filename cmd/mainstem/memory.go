package main

import (
	"log/slog"
	"runtime"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is the part of a container's memory that the heap is kept below,
// by collecting more often: the rest is for stacks, page tables and the kernel's
// own counting of sockets and page cache.
const memoryShare = 0.85

// limitMemory tells the runtime what memory it has: GOMEMLIMIT where that is set,
// else what the cgroup allows. How many CPUs the cgroup allows it finds itself.
func limitMemory(log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(memlimit.FromCgroup), memlimit.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil { // no cgroup here, or none that can be read
		log.Debug("memory is not limited", "err", err)
		return
	}
	log.Debug("memory is limited", "bytes", limit, "processors", runtime.GOMAXPROCS(0))
}
