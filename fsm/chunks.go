package fsm

import (
	"bytes"
	"container/list"
	"sync"

	"mainstem/stream"
)

// chunks keeps in memory what several readers have read lately: long chunks that
// ended because they were full. The bytes at an offset never change, so neither does
// such a chunk, and nobody has to be told of anything; whether the stream is still
// there is asked before.
//
// A chunk is kept when it is read for the second time. What one reader reads once
// would only drive out what others want.
type chunks struct {
	max int64 // of bytes; 0: nothing is kept

	mu    sync.Mutex // guards what follows; held for a look, and a chunk is long
	kept  map[chunkKey]*list.Element
	order list.List // of *keptChunk, the one that was read last at the back
	bytes int64
	once  map[chunkKey]struct{} // read once, lately
	ring  []chunkKey            // of once, the oldest at oldest
	at    int
}

// chunkKey is what a reader asks for: it has one answer, once that is full.
type chunkKey struct {
	incarnation, pos uint64
	limit            int
}

type keptChunk struct {
	key  chunkKey
	body [][]byte
	end  uint64
	cost int64
}

const (
	// seenMax is how many chunks are remembered as read once.
	seenMax = 4096
	// keptOverhead is what a kept chunk takes beside its bytes.
	keptOverhead = 256
)

func newChunks(max int64) *chunks {
	return &chunks{max: max, kept: map[chunkKey]*list.Element{}, once: map[chunkKey]struct{}{}, ring: make([]chunkKey, 0, seenMax)}
}

// get returns a kept chunk; if there is none, again tells whether it was asked for
// before, and should be kept.
func (c *chunks) get(key chunkKey) (k *keptChunk, again bool) {
	if c.max == 0 || key.limit < pooledBytes {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.kept[key]; e != nil {
		c.order.MoveToBack(e)
		return e.Value.(*keptChunk), true
	}
	if _, again = c.once[key]; again {
		return nil, true
	}
	if len(c.ring) < seenMax {
		c.ring = append(c.ring, key)
	} else {
		delete(c.once, c.ring[c.at])
		c.ring[c.at] = key
		c.at = (c.at + 1) % seenMax
	}
	c.once[key] = struct{}{}
	return nil, false
}

// keep keeps a chunk, and drops those that were
// not read for longest. The body is copied: a chunk ends with an append, so the
// memory that it was gathered in may be much more than it fills.
func (c *chunks) keep(key chunkKey, body [][]byte, end uint64) {
	whole := bytes.Join(body, nil)
	k := &keptChunk{key: key, body: [][]byte{whole}, end: end, cost: keptOverhead + int64(cap(whole))}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept[key] != nil || k.cost > c.max {
		return
	}
	c.kept[key] = c.order.PushBack(k)
	c.bytes += k.cost
	for c.bytes > c.max {
		oldest := c.order.Front()
		gone := c.order.Remove(oldest).(*keptChunk)
		delete(c.kept, gone.key)
		c.bytes -= gone.cost
	}
}

// clear drops everything, after the copy was replaced.
func (c *chunks) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.kept)
	clear(c.once)
	c.order.Init()
	c.ring, c.at, c.bytes = c.ring[:0], 0, 0
}

// gatherKept is gather for chunks that others may have read.
func (m *Machine) gatherKept(v *view, chunk stream.Chunk, pos uint64, limit int) (stream.Chunk, error) {
	s := v.state
	key := chunkKey{s.Incarnation, pos, limit}
	if s.Pos-pos <= uint64(limit) { // it may reach the tail, and be longer the next time
		return m.gather(v, chunk, pos, limit)
	}
	k, again := m.chunks.get(key)
	if k != nil {
		chunk.Body, chunk.Next = k.body, s.OffsetAt(k.end)
		return chunk, nil
	}
	chunk, err := m.gather(v, chunk, pos, limit)
	if err == nil && again && chunk.Next != chunk.Tail {
		m.chunks.keep(key, chunk.Body, chunk.Next.Pos)
	}
	return chunk, err
}
