package cluster

import (
	"sync"
	"time"
)

// departure is what this node has said about leaving for a while: that it wants
// to, and for which other members it stays meanwhile. Of two members that want to
// leave, one stays for the other:
//
//	when a asks b          b does not drain     b drains
//	-----------------      ----------------     ------------------------------
//	a has promised b       (b has not asked)    b goes first: no
//	b has promised a       yes                  yes
//	neither                yes, and promises    the one with the higher id stays
//
// so a quorum that one counts on is never counted on by two.
type departure struct {
	mu       sync.Mutex      // guards what follows
	since    time.Time       // since when this node wants to leave; zero when it does not
	decided  bool            // nobody is promised anything any more
	done     bool            // leadership has been dealt with
	promised map[string]bool // the members that this node stays for
}

// begin says that this node wants to leave. It may be called again.
func (d *departure) begin() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.since.IsZero() {
		d.since = time.Now()
	}
	return d.since
}

func (d *departure) begun() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.since.IsZero()
}

func (d *departure) hasPromised(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.promised[id]
}

// hear takes note of a member's report and returns whether this node, self,
// stays for it.
func (d *departure) hear(self string, theirs report) (stays bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := theirs.NodeID
	switch {
	case !theirs.Draining:
		delete(d.promised, id)
		return false
	case d.decided:
		return false
	case d.promised[id]:
		return true
	case theirs.Promised, !d.since.IsZero() && self < id:
		return false
	}
	if d.promised == nil {
		d.promised = map[string]bool{}
	}
	d.promised[id] = true
	return true
}

// decide says that this node leaves now.
func (d *departure) decide() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.decided = true
}

// handled reports that leadership needs no more attention when the node closes.
func (d *departure) handled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.done
}

func (d *departure) finish() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = true
}
