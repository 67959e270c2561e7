package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"

	"mainstem/stream"
)

// DiskLevel tells how much room a node's disk has.
type DiskLevel string

// The levels of a disk; "" is that of a node which does not watch it.
const (
	DiskOK   DiskLevel = "ok"
	DiskLow  DiskLevel = "low"
	DiskFull DiskLevel = "full"
)

// Disk is what a node tells of the disk that its data is on.
type Disk struct {
	Level        DiskLevel `json:"level"`
	FreeBytes    int64     `json:"free_bytes"`
	TotalBytes   int64     `json:"total_bytes"`
	BallastBytes int64     `json:"ballast_bytes"`
}

// String is the level of a disk and how much of it is free, for people.
func (d Disk) String() string {
	if d.Level == "" || d.TotalBytes == 0 {
		return "(unknown)"
	}
	return fmt.Sprintf("%s, %d%% free", d.Level, 100*d.FreeBytes/d.TotalBytes)
}

// NoSpaceError means that voters of the cluster have no space for data. What was
// submitted has certainly not been proposed, unless ErrOutcomeUnknown is wrapped
// beside it.
type NoSpaceError struct{ Nodes []string }

func (e *NoSpaceError) Error() string {
	return fmt.Sprintf("cluster: the disk of %s is full; nothing was written, delete streams or free space there", strings.Join(e.Nodes, ", "))
}

// InsufficientStorage tells callers that may not import this package what it is.
func (e *NoSpaceError) InsufficientStorage() bool { return true }

// space knows which voters have no room. The log is one and goes to all of them:
// what one more node wrote would end the process of the one that is full.
type space struct {
	full atomic.Pointer[[]string] // names of voters, sorted; nil for none

	judging sync.Mutex // one judgement at a time, so that the newest stays
}

func (s *space) names() []string {
	if full := s.full.Load(); full != nil {
		return *full
	}
	return nil
}

// refuse returns why a command cannot be taken, nil if it can.
func (s *space) refuse(c stream.Command) error {
	if full := s.full.Load(); full != nil && stream.Grows(c) {
		return &NoSpaceError{*full}
	}
	return nil
}

// refuseEnvelope is refuse for a batch.
func (s *space) refuseEnvelope(envelope []byte) error {
	if full := s.full.Load(); full != nil && stream.EnvelopeGrows(envelope) {
		return &NoSpaceError{*full}
	}
	return nil
}

// DiskChanged tells this node that the level of its disk has changed. The leader
// learns of it at once, and does not wait for a round with all members, of which
// one may be out of reach.
func (n *Node) DiskChanged() {
	n.judgeSpace()
	n.tellOfDisk(n.leader.get().ID)
	n.wakeMembers()
}

// tellOfDisk exchanges reports with one member, in the background.
func (n *Node) tellOfDisk(id string) {
	if id == "" || id == n.cfg.NodeID {
		return
	}
	n.group.spawn(func() {
		ctx, cancel := context.WithTimeout(n.ctx, reportTimeout)
		defer cancel()
		if _, err := n.exchangeWith(ctx, id); err != nil {
			n.log.Debug("level of the disk not told", "to", id, "err", err)
		}
	})
}

// disk is this node's own.
func (n *Node) disk() Disk {
	if n.cfg.Disk == nil {
		return Disk{}
	}
	return n.cfg.Disk()
}

// judgeSpace finds the voters without room: as they report it themselves, and as
// the leader has heard, who may reach members that this node does not. One that
// is out of reach does not count: nothing goes there.
func (n *Node) judgeSpace() {
	n.space.judging.Lock()
	defer n.space.judging.Unlock()
	var full []string
	for _, server := range n.servers() {
		if id := string(server.ID); server.Suffrage == raft.Voter && n.diskLevel(id) == DiskFull {
			full = append(full, id)
		}
	}
	leads := n.leader.get().ID
	if leads != n.cfg.NodeID {
		if r, ok := n.members.get(leads); ok && n.members.fresh(r) {
			full = append(full, r.Full...)
		}
	}
	slices.Sort(full)
	full = slices.Compact(full)
	if slices.Equal(full, n.space.names()) {
		return
	}
	if len(full) == 0 {
		n.space.full.Store(nil)
		n.log.Info("data is taken again: every member in reach has disk space")
	} else {
		n.space.full.Store(&full)
		n.log.Warn("no data is taken: members of the cluster have no disk space", "full", full)
	}
	if leads != n.cfg.NodeID {
		return
	}
	for _, server := range n.servers() { // the others go by what the leader says
		n.tellOfDisk(string(server.ID))
	}
}

// diskLevel is that of a member in reach.
func (n *Node) diskLevel(id string) DiskLevel {
	if id == n.cfg.NodeID {
		return n.disk().Level
	}
	r, ok := n.members.get(id)
	if !ok || !n.members.fresh(r) {
		return ""
	}
	return r.Disk.Level
}

// noSpaceSeparator is between the names of nodes in an answer of statusNoSpace;
// none holds it.
const noSpaceSeparator = ","

func encodeNoSpace(e *NoSpaceError) []byte { return []byte(strings.Join(e.Nodes, noSpaceSeparator)) }

func decodeNoSpace(body []byte) error {
	return &NoSpaceError{strings.Split(string(body), noSpaceSeparator)}
}

func isNoSpace(err error) bool {
	var full *NoSpaceError
	return errors.As(err, &full)
}
