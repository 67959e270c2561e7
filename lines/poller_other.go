//go:build !linux

package lines

import "net/http"

// Poller is of no use on this system.
type Poller struct{}

// Line is of no use on this system.
type Line struct{}

// Open returns ErrUnsupported.
func Open() (*Poller, error) { return nil, ErrUnsupported }

// Close does nothing.
func (*Poller) Close() error { return nil }

// Take returns ErrUnsupported and leaves the connection where it is.
func (*Poller) Take(http.ResponseWriter, func()) (*Line, error) { return nil, ErrUnsupported }

// Write returns ErrUnsupported.
func (*Line) Write([]byte) (int, error) { return 0, ErrUnsupported }

// Gone is true.
func (*Line) Gone() bool { return true }

// Close does nothing.
func (*Line) Close() error { return nil }
