package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// silenceMax is how long a snapshot in transit may make no progress. Its
// receiver does nothing else of raft's meanwhile, neither vote nor take entries
// of another leader, and its sender sends that member nothing else.
const silenceMax = 10 * time.Second

// watchedSnapshots wraps the snapshot store so that a snapshot whose sender has
// fallen silent, as one does that is frozen or cut off, ends. Raft reads it
// without a deadline.
type watchedSnapshots struct {
	raft.SnapshotStore
	hangUp func() // ends the connections that a snapshot may come over
	health Health
}

// Open refuses to send what was made of a damaged copy.
func (w watchedSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if what := w.health.Damage(); what != "" {
		return nil, nil, fmt.Errorf("open snapshot %s: this node's copy is damaged, and nobody is filled from it: %s", id, what)
	}
	return w.SnapshotStore.Open(id)
}

func (w watchedSnapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink, err := w.SnapshotStore.Create(version, index, term, configuration, configurationIndex, t)
	if err != nil {
		return nil, err
	}
	return &watchedSink{SnapshotSink: sink, silence: time.AfterFunc(silenceMax, w.hangUp)}, nil
}

// watchedSink is watched while it waits for bytes, and not while it writes them.
type watchedSink struct {
	raft.SnapshotSink
	silence *time.Timer
}

func (k *watchedSink) Write(p []byte) (int, error) {
	k.silence.Stop()
	defer k.silence.Reset(silenceMax)
	return k.SnapshotSink.Write(p)
}

// Adopt passes a checkpoint of this node's own on, for which there is no sender.
func (k *watchedSink) Adopt(fill func(dir string) error) error {
	k.silence.Stop()
	a, ok := k.SnapshotSink.(interface {
		Adopt(fill func(dir string) error) error
	})
	if !ok {
		return fmt.Errorf("snapshot sink %T takes no checkpoint", k.SnapshotSink)
	}
	return a.Adopt(fill)
}

func (k *watchedSink) Close() error {
	k.silence.Stop()
	return k.SnapshotSink.Close()
}

func (k *watchedSink) Cancel() error {
	k.silence.Stop()
	return k.SnapshotSink.Cancel()
}

// InstallSnapshot implements raft.Transport. What follows the snapshot stays in
// the log until the member has it: otherwise a log that grows faster than a
// snapshot travels would be cut meanwhile, and the member would need the next
// snapshot, and the next.
func (t *transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, q *raft.InstallSnapshotRequest,
	a *raft.InstallSnapshotResponse, data io.Reader) error {
	if !t.leads(id, q.Term) {
		return errNotLeading // it would be refused, by one who reads to its end before
	}
	t.fills.begin(string(id), q.LastLogIndex)
	err := t.NetworkTransport.InstallSnapshot(id, target, q, a, data)
	if err != nil || !a.Success {
		t.fills.end(string(id))
	}
	return err
}

var errNotLeading = errors.New("this node does not lead any more; another sends the snapshot")

// fills are the members that are being sent a snapshot, or what follows it.
type fills struct {
	max    uint64                                       // bytes of log that are kept for one
	stored func(id string) (index uint64, at time.Time) // how far a member's log reached, and when it said so
	log    *typedLog

	mu    sync.Mutex // guards under
	under map[string]fill
}

type fill struct {
	index uint64    // that the snapshot holds
	grown uint64    // the log's bytes when it began
	begun time.Time // what the member said before was of the log that the snapshot replaces
}

func newFills(log *typedLog, max uint64, stored func(string) (uint64, time.Time)) *fills {
	return &fills{max: max, stored: stored, log: log, under: map[string]fill{}}
}

func (f *fills) begin(id string, index uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.under[id] = fill{index: index, grown: f.log.total(), begun: time.Now()}
}

func (f *fills) end(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.under, id)
}

// spare is the last index that nobody who is being filled needs, at most upTo.
// Of the entry before the first that a member lacks raft sends the term, so that
// one is needed too. It forgets those who have all but the last few entries, and those for whom the
// log has grown too long: they get the next snapshot.
func (f *fills) spare(upTo uint64) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	last, bytes := f.log.newestIndex(), f.log.total()
	for id, under := range f.under {
		has := under.index
		if stored, at := f.stored(id); at.After(under.begun) {
			has = max(has, stored)
		}
		if has+behindMax >= last || bytes-under.grown > f.max {
			delete(f.under, id)
			continue
		}
		upTo = min(upTo, has-1)
	}
	return upTo
}

// fillingLog is the log as raft sees it: its front is not cut where a member
// that is being filled needs it, nor may soon need it: the entry at the newest
// snapshot's index stays, because raft looks its term up in the log as soon as
// there is a newer snapshot than the one that was sent.
type fillingLog struct {
	*typedLog
	fills     *fills
	snapshots raft.SnapshotStore
}

// GetLog knows the entry at the newest snapshot's index by its term, which is all
// that raft asks of it, where the log begins behind it. A follower that was just
// sent that snapshot looks there when the leader repeats what came next, as it
// does to a member that was taken out and added again, and would refuse it for
// ever: it would be sent the snapshot again and again.
func (l fillingLog) GetLog(index uint64, entry *raft.Log) error {
	err := l.typedLog.GetLog(index, entry)
	if !errors.Is(err, raft.ErrLogNotFound) || index <= 1 { // at 1 raft asks for the entry itself
		return err
	}
	snapshots, listed := l.snapshots.List()
	if listed != nil || len(snapshots) == 0 || snapshots[0].Index != index {
		return err
	}
	*entry = raft.Log{Index: index, Term: snapshots[0].Term, Type: raft.LogNoop}
	return nil
}

func (l fillingLog) DeleteRange(from, to uint64) error {
	first, err := l.FirstIndex()
	if err != nil {
		return err
	}
	last, err := l.LastIndex()
	if err != nil {
		return err
	}
	if from <= first && to < last {
		snapshots, err := l.snapshots.List()
		if err != nil {
			return err
		}
		if len(snapshots) > 0 {
			to = min(to, snapshots[0].Index-1)
		}
		if to = l.fills.spare(to); to < from {
			return nil // raft asks again after the next snapshot
		}
	}
	return l.typedLog.DeleteRange(from, to)
}

// patientConn is a connection of raft's on which a deadline far ahead, which only
// a snapshot has, bounds silence too: raft allows five seconds for each 256 KiB,
// hours for some gigabytes, in which a member that is cut off gets nothing else.
type patientConn struct {
	net.Conn
	far time.Time // of the one request that is under way
}

func (c *patientConn) SetDeadline(t time.Time) error {
	c.far = t
	return c.Conn.SetDeadline(t)
}

func (c *patientConn) Write(p []byte) (int, error) {
	if !c.far.IsZero() && time.Until(c.far) > silenceMax {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(silenceMax)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}
