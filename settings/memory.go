package settings

// Parts of storage.memory_bytes. Up to four tables of writes are held at once.
const (
	cacheShare    = 5
	memTableShare = 10
	tailShare     = 5
	chunkShare    = 5
)

// memoryParts is what each holder of data may take.
type memoryParts struct{ Cache, MemTable, Tails, Chunks int64 }

// Parts divides the budget among those that have no size of their own.
func (c *Storage) Parts() memoryParts {
	p := memoryParts{Cache: c.cacheBytes, MemTable: c.memTableBytes, Tails: c.memoryBytes / tailShare, Chunks: c.memoryBytes / chunkShare}
	if p.Cache == 0 {
		p.Cache = c.memoryBytes / cacheShare
	}
	if p.MemTable == 0 {
		p.MemTable = min(c.memoryBytes/memTableShare, memTableMost)
	}
	return p
}
