package cluster

import (
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// transport is raft's own, with pipelines that cannot get stuck and without long
// pauses for a member that was away.
type transport struct {
	*raft.NetworkTransport
	leads func(id raft.ServerID, term uint64) bool // still, and id is a member
	last  func() uint64                            // index of this node's log
	ahead *ahead                                   // of this node's disk
	done  <-chan struct{}
	fills *fills
	mute  func() bool // this node may not ask for votes any more
	disk  *watchedLog

	transferMax time.Duration  // of one request to take over
	calls       sync.WaitGroup // requests to take over that still run
}

// behindMax is how many entries a follower may lag for its pipeline to be kept.
// A pipeline sends raftAppendMax entries at each new one, or at each
// CommitTimeout when there is none: catching up that way would take minutes.
// Outside it raft sends all there is.
const behindMax = 8 * raftAppendMax

var errFarBehind = errors.New("the follower is far behind; its log is sent without a pipeline")

// redialPause is the time between attempts to reach a member that is away.
const redialPause = 50 * time.Millisecond

// AppendEntries implements raft.Transport. With each failure raft waits longer
// before the next, up to ten seconds, and a member that is back would wait with
// it; so entries for a member that cannot be reached wait here. Heartbeats fail
// at once: they tell who is away.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, q *raft.AppendEntriesRequest, a *raft.AppendEntriesResponse) error {
	t.awaitDisk(id, q.Term)
	for {
		err := t.NetworkTransport.AppendEntries(id, target, q, a)
		var away *dialError
		if err == nil || q.PrevLogTerm == 0 || !errors.As(err, &away) || !t.leads(id, q.Term) {
			return err
		}
		select {
		case <-time.After(redialPause):
		case <-t.done:
			return err
		}
	}
}

// voteAgainTime is how long a request for a vote may have taken for it to be sent
// again.
const voteAgainTime = 100 * time.Millisecond

// RequestVote implements raft.Transport. Raft asks once in each election, and
// the connections that it keeps to a member which was restarted are broken: the
// member would not even hear of the election. To ask twice is to be answered the
// same.
func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, q *raft.RequestVoteRequest, a *raft.RequestVoteResponse) error {
	if t.mute() {
		return errMute
	}
	return overBroken(func() error { return t.NetworkTransport.RequestVote(id, target, q, a) })
}

// RequestPreVote implements raft.WithPreVote, as RequestVote.
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, q *raft.RequestPreVoteRequest, a *raft.RequestPreVoteResponse) error {
	if t.mute() {
		return errMute
	}
	return overBroken(func() error { return t.NetworkTransport.RequestPreVote(id, target, q, a) })
}

// overBroken repeats a request while it fails at once over connections that are
// kept, each of which is given up then.
func overBroken(request func() error) error {
	var away *dialError
	for start, try := time.Now(), 0; ; try++ {
		err := request()
		if err == nil || errors.As(err, &away) || try == raftPoolMax || time.Since(start) > voteAgainTime {
			return err
		}
	}
}

// TimeoutNow implements raft.Transport. Raft refuses everything until it returns,
// so a member that does not answer is not waited for as long as for other
// requests.
func (t *transport) TimeoutNow(id raft.ServerID, target raft.ServerAddress, q *raft.TimeoutNowRequest, _ *raft.TimeoutNowResponse) error {
	answered := make(chan error, 1)
	t.calls.Go(func() { answered <- t.NetworkTransport.TimeoutNow(id, target, q, new(raft.TimeoutNowResponse)) })
	select {
	case err := <-answered:
		return err
	case <-time.After(t.transferMax):
		return errNoAnswer
	}
}

var errNoAnswer = errors.New("no answer in time")
