package stream

// Info is what a reader may know of a stream at one moment.
type Info struct {
	Incarnation uint64
	ContentType ContentType
	Lifetime    Lifetime
	Deadline    Time // machine time at which it ends; 0 for never
	Start, Tail Offset
	Closed      bool
	Deleted     bool // soft-deleted: kept for its forks only (§4.2)
	Retention   Retention
	Trimmed     bool // something before Start was there, and cannot be read any more
}

// Chunk is what one read returns: a run of wire bytes that begins and ends
// between two appends.
type Chunk struct {
	Info
	From, Next Offset
	Body       [][]byte // in order, whole appends each; shared, never to be written
	Memo       Memo     // nil when the body is this reader's alone
	// Free may be called once nobody reads Body any more, which saves making the
	// room for the next; nil when there is nothing to save.
	Free func()
}

// Memo is where one reader of a body leaves what it made of it, for the others
// that were given the same body. It may be used by many at once.
type Memo interface {
	Load() any // nil before the first Store
	Store(any) // always of one type
}

// UpToDate reports that the chunk ends at the tail as the read saw it.
func (c *Chunk) UpToDate() bool { return c.Next == c.Tail }

// Ended reports that the chunk ends at the tail of a closed stream: no more
// will ever come (§5.6).
func (c *Chunk) Ended() bool { return c.Closed && c.UpToDate() }

// Len is the number of wire bytes.
func (c *Chunk) Len() (n int) {
	for _, b := range c.Body {
		n += len(b)
	}
	return n
}
