package cluster

import (
	"sync"
	"time"
)

const (
	// An entry costs about as much as some twenty commands in it, over all nodes:
	// for more than gatherMost nobody waits, for fewer than gatherLeast neither.
	gatherMost  = 32
	gatherLeast = 4
	// gatherTime is the longest wait. Callers that come back at once need a part of
	// it.
	gatherTime = time.Millisecond
	// gatherPause bounds how many departures do not wait after waits for nothing.
	gatherPause = 64
)

// gathering holds a departure back for those who were there lately and are about to
// come again, as writers do that send the next command when the last is answered.
// Without it such writers part into groups that take turns, each with an entry of
// its own, and each entry is paid for on every node.
//
// Whether they come again is learnt: a wait that ends by its time makes the next
// departures go at once, twice as many each time, and one that was of use half as
// many. While something is under way nobody is held back: what waits then has that
// to wait for. Its owner's lock guards it.
type gathering struct {
	crowd   int           // how many were waiting or under way, lately
	pass    int           // departures that do not wait
	pause   int           // how many that were the last time
	waiting bool          // somebody is held back
	arrived chan struct{} // has room for one; made by the first who waits
}

// tell says that somebody has come.
func (g *gathering) tell() {
	if !g.waiting {
		return
	}
	select {
	case g.arrived <- struct{}{}:
	default:
	}
}

// present is how many commands wait, and whether they are enough however few they
// are.
type present func() (commands int, enough bool)

func (p present) reach(want int) bool {
	commands, enough := p()
	return enough || commands >= want
}

// await returns, with mu held as before, when as many are present as were lately, or
// the time is over; or at once, with something under way.
func (g *gathering) await(mu *sync.Mutex, there present, underWay int) {
	want := min(g.crowd, gatherMost)
	switch {
	case underWay > 0 || want < gatherLeast || there.reach(want):
	case g.pass > 0:
		g.pass--
	default:
		g.hold(mu, there, want)
	}
	commands, _ := there()
	g.crowd = max(min(commands, gatherMost)+underWay, g.crowd-(g.crowd+7)/8)
}

func (g *gathering) hold(mu *sync.Mutex, there present, want int) {
	timer := time.NewTimer(gatherTime)
	defer timer.Stop()
	g.waiting = true
	if g.arrived == nil {
		g.arrived = make(chan struct{}, 1)
	}
	defer func() { g.waiting = false }()
	for !there.reach(want) {
		mu.Unlock()
		late := false
		select {
		case <-g.arrived:
		case <-timer.C:
			late = true
		}
		mu.Lock()
		if late {
			g.pause = min(2*g.pause+1, gatherPause)
			g.pass, g.crowd = g.pause, 0
			return
		}
	}
	g.pause /= 2
	g.pass = g.pause
}
