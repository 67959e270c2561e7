package lines

import "errors"

// ErrUnsupported says that this system, or this connection, cannot be written to
// without waiting.
var ErrUnsupported = errors.New("connections cannot be polled here")

// ErrClosed says that the poller is closed.
var ErrClosed = errors.New("the poller is closed")
