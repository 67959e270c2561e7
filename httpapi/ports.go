package httpapi

import (
	"context"
	"time"

	"mainstem/stream"
)

// Writer puts a command into the replicated log and returns what the log
// decided. It keeps nothing of the command's bytes when it has returned: they are
// used again.
type Writer interface {
	Submit(ctx context.Context, c stream.Command) (stream.Result, error)
}

// Fencer returns when the local copy holds all that was committed anywhere
// before the call.
type Fencer interface {
	Fence(ctx context.Context) error
}

// promptFencer is a Fencer that may know at once that the local copy holds all that
// was committed anywhere, which spares the wait and what bounds it.
type promptFencer interface{ FencedAtOnce() bool }

// Reader reads the local copy, which may be behind, and never asks a peer.
type Reader interface {
	// Info returns what the copy knows of a stream; ok is false when it has
	// none. Info.Deleted reports a soft-deleted one.
	Info(name stream.Name) (info stream.Info, ok bool, err error)

	// Read returns what follows from: at most limit bytes, ending with an
	// append, or one append that alone is longer. A *stream.Rejection says
	// NotFound, Gone or BadOffset as the copy knows it; any other error means
	// that the copy is broken.
	Read(name stream.Name, from stream.From, limit int) (stream.Chunk, error)

	// EachEnd visits the ends of the appends in a chunk that was read, in order; the
	// last is the chunk's own. A *stream.Rejection says that they have gone since.
	EachEnd(name stream.Name, chunk *stream.Chunk, visit func(stream.Offset)) error

	// List visits the streams whose names begin with prefix and come after after, in
	// the order of their names, until visit returns false. Soft-deleted ones are
	// among them. The State is not to be changed, nor kept.
	List(prefix string, after stream.Name, visit func(stream.Name, *stream.State) bool) error

	// Follow is for a reader that stays with a stream. Until it calls leave, look
	// is Read, and gives a bell that is closed by the next change after the look.
	// The bell may ring for changes that no reader sees.
	Follow(name stream.Name) (look func(from stream.From, limit int) (chunk stream.Chunk, bell <-chan struct{}, err error), leave func())
}

// Cluster tells how this node stands to the others.
type Cluster interface {
	// Checks returns what must hold for this node to serve: that a leader is known,
	// that the local copy has caught up, and what else there is.
	Checks() []Check

	// ClusterChecks returns what must hold for the cluster to bear the loss of a
	// node.
	ClusterChecks() []Check

	// Status returns what /v1/cluster/status shows, to be encoded as JSON.
	Status(ctx context.Context) any

	// LeaderContact returns when this node last heard from a leader, or was one;
	// ok is false when it never did.
	LeaderContact() (at time.Time, ok bool)
}

// Check is one thing that must hold.
type Check struct {
	Name string
	Err  error // what is missing; nil when it holds
}

// Line is a connection that was taken from net/http. One goroutine at a time uses
// it.
type Line interface {
	// Write sends what can be sent without waiting: n is less than len(b) when the
	// network takes no more for now. An error means that the connection is of no
	// more use.
	Write(b []byte) (n int, err error)

	// Gone reports that the client has left.
	Gone() bool

	Close() error
}
