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

// Parts of storage.memory_bytes. Up to four tables of writes are held at once.
const (
	cacheShare    = 5
	memTableShare = 10
	tailShare     = 5
	chunkShare    = 5
)

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

// memoryParts is what each holder of data may take.
type memoryParts struct{ cache, memTable, tails, chunks int64 }

// parts divides the budget among those that have no size of their own.
func (c *storageConfig) parts() memoryParts {
	p := memoryParts{cache: c.cacheBytes, memTable: c.memTableBytes, tails: c.memoryBytes / tailShare, chunks: c.memoryBytes / chunkShare}
	if p.cache == 0 {
		p.cache = c.memoryBytes / cacheShare
	}
	if p.memTable == 0 {
		p.memTable = min(c.memoryBytes/memTableShare, memTableMost)
	}
	return p
}
