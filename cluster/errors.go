package cluster

import "errors"

var (
	// ErrNoLeader means that no leader was found in time. What was submitted
	// has certainly not been proposed.
	ErrNoLeader = errors.New("cluster: no leader is known; nothing was written, try again shortly")

	// ErrClosing means that this node is stopping. What was submitted has
	// certainly not been proposed.
	ErrClosing = errors.New("cluster: this node is stopping; nothing was written, try another node")

	// ErrBusy means that too many callers wait for room in a batch. What was
	// submitted has certainly not been proposed.
	ErrBusy = errors.New("cluster: too many commands are waiting; nothing was written, try again shortly")

	// ErrTooLarge means that one command does not fit into an entry of the log.
	ErrTooLarge = errors.New("cluster: the command is larger than an entry of the log may be; nothing was written")

	// ErrOutcomeUnknown means that what was submitted may have been proposed,
	// and may or may not be in the log: it was proposed until SubmitTimeout, and
	// no answer came.
	ErrOutcomeUnknown error = unknownError{}
)

// unknownError tells callers that may not import this package what it is: they
// look for the method.
type unknownError struct{}

func (unknownError) Error() string {
	return "cluster: outcome unknown; the command was sent, and whether it is in the log could not be learnt"
}

// OutcomeUnknown reports that the command may have been carried out.
func (unknownError) OutcomeUnknown() bool { return true }

// notProposedError wraps the reason why a batch certainly was not proposed, so
// that it may be tried again.
type notProposedError struct{ cause error }

func (e *notProposedError) Error() string { return "not proposed: " + e.cause.Error() }
func (e *notProposedError) Unwrap() error { return e.cause }

func notProposed(cause error) error { return &notProposedError{cause} }

func isNotProposed(err error) bool {
	var e *notProposedError
	return errors.As(err, &e)
}
