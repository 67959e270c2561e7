package cluster

import (
	"context"
	"time"

	"mainstem/stream"
)

// Note is told how long a command spent in one stage of its way into the log:
// "queue" until its batch was sent, "raft" in the log of this node when it leads, of
// which "apply" in its machine, or "forward" from the sending to the leader to its
// answer.
type Note = func(stage string, took time.Duration)

// SubmitTimed is Submit, and tells note of the stages once there is an answer.
func (n *Node) SubmitTimed(ctx context.Context, c stream.Command, note Note) (stream.Result, error) {
	if err := n.refuse(c); err != nil {
		return stream.Result{}, err
	}
	return n.proposer.submit(ctx, c, note)
}

// timing is when a batch was sent, and what its last attempt took: the goroutine
// that sends it writes, and those that wait read when it is finished.
type timing struct {
	sent                 time.Time
	way                  string // raft, or forward; "" before it was sent anywhere
	raft, apply, forward time.Duration
}

// tell tells note of the stages of a command that was submitted at begin.
func (t *timing) tell(begin time.Time, note Note) {
	if note == nil {
		return
	}
	if !t.sent.IsZero() {
		note("queue", max(0, t.sent.Sub(begin)))
	}
	switch t.way {
	case "forward":
		note("forward", t.forward)
	case "raft":
		note("raft", t.raft)
		note("apply", min(t.apply, t.raft)) // of the machine's last batch, which as a rule held this one
	}
}
