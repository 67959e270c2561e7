package main

import (
	"cmp"
	"slices"
	"time"

	"mainstem/cluster"
)

// level tells how much a finding matters.
type level string

const (
	levelOK   level = "ok"
	levelWarn level = "warn" // to be put right soon
	levelBad  level = "bad"  // to be put right now
)

func (l level) rank() int { return slices.Index([]level{levelBad, levelWarn, levelOK}, l) }

// finding is one thing that was looked at.
type finding struct {
	Level level  `json:"level"`
	Check string `json:"check"`
	Node  string `json:"node,omitempty"` // whom it is about; "" for the cluster
	What  string `json:"what"`
	Why   string `json:"why,omitempty"` // it matters
	Do    string `json:"do,omitempty"`
}

// spot is what a check saw.
type spot struct {
	level level
	node  string
	what  string
}

// check looks for one kind of trouble.
type check struct {
	name string
	fine string // what is said when nothing was seen
	why  string
	do   string
	look func(x examination) []spot
}

// examination is all that is known when the findings are made.
type examination struct {
	at      time.Time
	members []examined
	dirs    []examinedDir
}

// findings are those of all checks, the worst first.
func (x examination) findings() []finding {
	var all []finding
	for _, c := range slices.Concat(clusterChecks(), memberChecks(), dirChecks()) {
		spots := c.look(x)
		if len(spots) == 0 && c.fine != "" {
			spots = []spot{{level: levelOK, what: c.fine}}
		}
		for _, s := range spots {
			f := finding{Level: s.level, Check: c.name, Node: s.node, What: s.what}
			if s.level != levelOK {
				f.Why, f.Do = c.why, c.do
			}
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b finding) int { return cmp.Compare(a.Level.rank(), b.Level.rank()) })
	return all
}

// worst is the highest level among findings.
func worst(all []finding) level {
	l := levelOK
	for _, f := range all {
		if f.Level.rank() < l.rank() {
			l = f.Level
		}
	}
	return l
}

// answering are the members that answered.
func (x examination) answering() (out []examined) {
	for _, e := range x.members {
		if e.answers() {
			out = append(out, e)
		}
	}
	return out
}

// view is the cluster as its leader sees it, or else one that knows a leader, or any.
func (x examination) view() (best cluster.Status, known bool) {
	rank := func(st cluster.Status) int {
		switch st.Leader {
		case "":
			return 0
		case st.NodeID:
			return 2
		}
		return 1
	}
	for _, e := range x.answering() {
		if !known || rank(e.status) > rank(best) || rank(e.status) == rank(best) && e.status.Term > best.Term {
			best, known = e.status, true
		}
	}
	return best, known
}

// each is the state of each member by itself, where it answered, and else as the
// view has it.
func (x examination) each() []cluster.Member {
	view, _ := x.view()
	members := slices.Clone(view.Members)
	for i, m := range members {
		for _, e := range x.answering() {
			for _, own := range e.status.Members {
				if e.id == m.NodeID && own.NodeID == m.NodeID {
					members[i].Disk, members[i].Damage, members[i].Version = own.Disk, own.Damage, own.Version
				}
			}
		}
	}
	return members
}
