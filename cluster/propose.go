package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
	"go.opentelemetry.io/otel/trace"

	"mainstem/stream"
)

const (
	// leaderPause is how long a batch waits before it looks for a leader again
	// when no change of leader wakes it.
	leaderPause = 20 * time.Millisecond
)

// sendBatch brings one batch into the log and finishes it. Until SubmitTimeout it
// is tried again, under the same session and sequence, so that an attempt whose
// fate is unknown does no harm.
func (n *Node) sendBatch(b *batch) {
	n.traceBatch(b)
	deadline := b.opened.Add(n.cfg.SubmitTimeout)
	for {
		reign := n.leader.get()
		results, err := n.attempt(reign, deadline, b)
		b.attempted(reign.ID, err)
		if err == nil {
			n.finishBatch(b, results, nil)
			return
		}
		if isNoSpace(err) && b.dropGrowth(err) {
			continue
		}
		// Since it was submitted this node has heard of a member that is older.
		if no := n.judgeEnvelope(b.envelope); no != nil {
			if !b.dropAbove(no) {
				n.finishBatch(b, nil, b.verdict(no))
				return
			}
			continue
		}
		n.log.Debug("batch not answered", "leader", reign.ID, "err", err)
		if why := n.giveUp(reign, deadline, err); why != nil {
			n.finishBatch(b, nil, b.verdict(why))
			return
		}
		select {
		case <-reign.changed:
		case <-time.After(leaderPause):
		case <-n.ctx.Done():
		}
	}
}

// giveUp returns why a batch is not tried again after err, nil if it is.
func (n *Node) giveUp(reign reign, deadline time.Time, err error) error {
	switch {
	case !isNotProposed(err) && !errors.Is(err, ErrOutcomeUnknown):
		return err
	case n.ctx.Err() != nil, n.proposer.shutting() && reign.ID == "":
		return fmt.Errorf("%w (%w)", ErrClosing, err)
	case !time.Now().Add(leaderPause).Before(deadline): // what begins after it could not be certain
		if errors.Is(err, ErrOutcomeUnknown) {
			return err
		}
		return fmt.Errorf("%w (%w)", ErrNoLeader, err)
	}
	return nil
}

func (n *Node) finishBatch(b *batch, results []stream.Result, err error) {
	n.session.release(b)
	endSpan(b.span, err) // before anybody is answered, so that the request's span ends last
	b.finish(results, err)
}

// tryBatch proposes b once, here or through the leader.
func (n *Node) tryBatch(reign reign, deadline time.Time, b *batch) ([]stream.Result, error) {
	s := n.seat.Load()
	switch {
	case s == nil:
		return nil, notProposed(errors.New("this node has not been admitted to a cluster yet"))
	case reign.ID == "":
		return nil, notProposed(errors.New("no leader is known"))
	case reign.ID == n.cfg.NodeID:
		start := time.Now()
		results, err := n.applyOwn(s, b)
		b.timing.way, b.timing.raft, b.timing.apply = "raft", time.Since(start), time.Duration(n.metrics.applyLast.Load())
		n.metrics.stageRaft.Observe(b.timing.raft.Seconds())
		return results, err
	}
	start := time.Now()
	results, err := n.forward(reign, deadline, b)
	b.timing.way, b.timing.forward = "forward", time.Since(start)
	n.metrics.stageForward.Observe(b.timing.forward.Seconds())
	n.metrics.forwards.WithLabelValues(forwardResult(err)).Inc()
	return results, err
}

func forwardResult(err error) string {
	switch {
	case err == nil:
		return "ok"
	case isNotProposed(err), isNoSpace(err):
		return "not_proposed"
	}
	return "unknown"
}

// applyOwn proposes a batch of this node's own on the leader.
func (n *Node) applyOwn(s *seat, b *batch) ([]stream.Result, error) {
	if b.span == nil {
		return n.apply(s, b.envelope, b.commands)
	}
	span := n.traceProposal(trace.ContextWithSpan(context.Background(), b.span))
	results, err := n.apply(s, b.envelope, b.commands)
	endSpan(span, err)
	return results, err
}

var errHandingOver = errors.New("this node is handing leadership over")

// apply proposes an envelope on the leader. commands is how many it holds.
func (n *Node) apply(s *seat, envelope []byte, commands int) ([]stream.Result, error) {
	if !n.applying.enter() {
		return nil, notProposed(errHandingOver)
	}
	defer n.applying.leave()
	if _, leads := s.leads(); !leads {
		return nil, notProposed(raft.ErrNotLeader)
	}
	if err := n.space.refuseEnvelope(envelope); err != nil {
		return nil, err
	}
	if err := n.refuseLevel(stream.EnvelopeLevel(envelope)); err != nil {
		return nil, notProposed(err)
	}
	results, err := n.rounds.do(envelope)
	if err == nil && commands >= 0 && len(results) != commands {
		return nil, fmt.Errorf("%w (the machine gave %d results for %d commands)", ErrOutcomeUnknown, len(results), commands)
	}
	return results, err
}

// proposeEntry puts one entry into the log and returns the machine's answer.
func (n *Node) proposeEntry(entry []byte) (any, error) {
	if n.isDamaged() {
		return nil, notProposed(errDamagedLeader)
	}
	if err := stream.Stamp(entry, n.clock.stamp()); err != nil {
		return nil, &refusal{err.Error()}
	}
	if err := stream.Limit(entry, n.cfg.Limits); err != nil {
		return nil, &refusal{err.Error()}
	}
	if err := stream.Agree(entry, byte(n.levels.now.Load())); err != nil {
		return nil, &refusal{err.Error()}
	}
	f := n.seat.Load().raft.Apply(entry, n.cfg.SubmitTimeout)
	if err := f.Error(); err != nil {
		return nil, proposeError(err)
	}
	return f.Response(), nil
}

// proposeError sorts raft's errors by whether the entry may be in the log.
func proposeError(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader),
		errors.Is(err, raft.ErrLeadershipTransferInProgress),
		errors.Is(err, raft.ErrEnqueueTimeout):
		return notProposed(err)
	}
	return fmt.Errorf("%w (%w)", ErrOutcomeUnknown, err)
}

// forward sends a batch to the leader: one hop, the same bytes.
func (n *Node) forward(leader reign, deadline time.Time, b *batch) ([]stream.Result, error) {
	ctx, cancel := context.WithDeadline(leader.ctx, deadline)
	defer cancel()
	method, body := b.batchCall()
	f, err := n.pool.call(ctx, leader.ID, n.addrOf(leader), laneBatches, method, body)
	if err != nil {
		if isNotProposed(err) {
			return nil, err
		}
		return nil, fmt.Errorf("%w (forward to node %q: %w)", ErrOutcomeUnknown, leader.ID, err)
	}
	answer, err := unpack(f)
	if err != nil {
		return nil, err
	}
	results, err := stream.DecodeResults(answer)
	if err != nil || len(results) != b.commands {
		return nil, fmt.Errorf("%w (node %q gave %d results for %d commands: %v)", ErrOutcomeUnknown, leader.ID, len(results), b.commands, err)
	}
	return results, nil
}

// addrOf is where to reach a leader.
func (n *Node) addrOf(leader reign) string {
	if addr := n.book.addrOf(leader.ID); addr != "" {
		return addr
	}
	return leader.Addr
}

// serveBatch proposes what another node forwarded. It does not hop again.
func (n *Node) serveBatch(envelope []byte) ([]byte, error) {
	s := n.seat.Load()
	if s == nil {
		return nil, notProposed(errors.New("this node has not been admitted to a cluster yet"))
	}
	if len(envelope) > entryBytesMax {
		return nil, &refusal{ErrTooLarge.Error()}
	}
	if _, _, err := stream.ParseHeader(envelope); err != nil {
		return nil, &refusal{err.Error()}
	}
	held := int64(len(envelope))
	if !n.forwarded.take(held) {
		return nil, notProposed(errForwardedFull)
	}
	defer n.forwarded.give(held)
	results, err := n.apply(s, envelope, -1)
	if err != nil {
		return nil, err
	}
	return stream.AppendResults(nil, results), nil
}
