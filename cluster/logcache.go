package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
)

// raftCacheBytes bounds the newest entries that are kept in memory for followers
// and for the machine: the two batches in flight and what a request carries.
const raftCacheBytes = 16 << 20

// logCache keeps the newest entries in memory. Raft's own cache counts entries,
// of which one may have a hundred bytes or 32 MiB.
type logCache struct {
	raft.LogStore
	max int

	mu      sync.RWMutex // guards what follows
	entries []*raft.Log  // without gaps, ascending
	bytes   int          // of the memory that they hold
}

func newLogCache(s raft.LogStore, max int) *logCache { return &logCache{LogStore: s, max: max} }

// IsMonotonic passes on what the inner store says.
func (c *logCache) IsMonotonic() bool {
	m, ok := c.LogStore.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

func (c *logCache) GetLog(index uint64, entry *raft.Log) error {
	if found := c.find(index); found != nil {
		*entry = *found
		return nil
	}
	return c.LogStore.GetLog(index, entry)
}

func (c *logCache) find(index uint64) *raft.Log {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.entries) == 0 || index < c.entries[0].Index || index-c.entries[0].Index >= uint64(len(c.entries)) {
		return nil
	}
	return c.entries[index-c.entries[0].Index]
}

func (c *logCache) StoreLog(entry *raft.Log) error { return c.StoreLogs([]*raft.Log{entry}) }

func (c *logCache) StoreLogs(entries []*raft.Log) error {
	if err := c.LogStore.StoreLogs(entries); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, entry := range entries {
		if n := len(c.entries); n > 0 && entry.Index != c.entries[n-1].Index+1 {
			c.drop()
		}
		c.entries = append(c.entries, entry)
		c.bytes += held(entry)
	}
	for c.bytes > c.max {
		c.bytes -= held(c.entries[0])
		c.entries[0] = nil // append moves the slice on, and its old part must hold nothing
		c.entries = c.entries[1:]
	}
	return nil
}

// DeleteRange forgets what is cached, whichever end is cut.
func (c *logCache) DeleteRange(min, max uint64) error {
	c.mu.Lock()
	c.drop()
	c.mu.Unlock()
	return c.LogStore.DeleteRange(min, max)
}

// drop empties the cache. The caller holds mu.
func (c *logCache) drop() { c.entries, c.bytes = nil, 0 }

// held is the memory that an entry keeps alive: the buffer of a batch may be
// larger than what was written into it.
func held(entry *raft.Log) int { return cap(entry.Data) + cap(entry.Extensions) + entryOverhead }

// entryOverhead is what an entry takes beside its data.
const entryOverhead = 128
