package backup

import (
	"context"
	"errors"
	"io"
)

// ErrAbsent is wrapped when a bucket has no object of a name.
var ErrAbsent = errors.New("there is no such object")

// Bucket keeps objects by name. Names have one slash: a directory, which is a
// backup's id, and a name in it.
type Bucket interface {
	// Put stores an object: all of it, durably, or nothing.
	Put(ctx context.Context, name string, content []byte) error
	// Get returns the content, for the caller to close.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// List returns the directories, in any order.
	List(ctx context.Context) (ids []string, err error)
}
