package doctor

import (
	"cmp"
	"slices"
	"time"

	"mainstem/cluster"
)

// Level tells how much a finding matters.
type Level string

const (
	OK   Level = "ok"
	Warn Level = "warn" // to be put right soon
	Bad  Level = "bad"  // to be put right now
)

// AsBadAs reports whether a level is that one, or worse.
func (l Level) AsBadAs(other Level) bool { return l.rank() <= other.rank() }

func (l Level) rank() int { return slices.Index([]Level{Bad, Warn, OK}, l) }

// Finding is one thing that was looked at.
type Finding struct {
	Level Level  `json:"level"`
	Check string `json:"check"`
	Node  string `json:"node,omitempty"` // whom it is about; "" for the cluster
	What  string `json:"what"`
	Why   string `json:"why,omitempty"` // it matters
	Do    string `json:"do,omitempty"`
}

// spot is what a check saw.
type spot struct {
	level Level
	node  string
	what  string
}

// Member is what one member answered. Where it did not, the error says so.
type Member struct {
	ID  string // "" when nobody knows it
	URL string // "" when nobody knows it

	Err         error // of its status: it counts as not answering
	Refused     bool  // it is there, but does not tell us
	Status      cluster.Status
	Metrics     Metrics
	Settings    map[string]string // by key; nil when they were not told
	SettingsErr error
}

// Answers reports whether anything is known from the member itself.
func (m Member) Answers() bool { return m.Err == nil }

// Name is the member for people.
func (m Member) Name() string { return cmp.Or(m.ID, m.URL) }

// check looks for one kind of trouble.
type check struct {
	name string
	fine string // what is said when nothing was seen
	why  string
	do   string
	look func(x Examination) []spot
}

// Examination is all that is known when the findings are made.
type Examination struct {
	At      time.Time
	Members []Member
	Dirs    []Dir
	// TokenVariable is the name of the variable with the token that members ask
	// of operators, for the advice.
	TokenVariable string
}

// Findings are those of all checks, the worst first.
func (x Examination) Findings() []Finding {
	var all []Finding
	for _, c := range slices.Concat(clusterChecks(x.TokenVariable), memberChecks(x.TokenVariable), dirChecks()) {
		spots := c.look(x)
		if len(spots) == 0 && c.fine != "" {
			spots = []spot{{level: OK, what: c.fine}}
		}
		for _, s := range spots {
			f := Finding{Level: s.level, Check: c.name, Node: s.node, What: s.what}
			if s.level != OK {
				f.Why, f.Do = c.why, c.do
			}
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return cmp.Compare(a.Level.rank(), b.Level.rank()) })
	return all
}

// Worst is the highest level among findings.
func Worst(all []Finding) Level {
	l := OK
	for _, f := range all {
		if f.Level.rank() < l.rank() {
			l = f.Level
		}
	}
	return l
}

// answering are the members that answered.
func (x Examination) answering() (out []Member) {
	for _, e := range x.Members {
		if e.Answers() {
			out = append(out, e)
		}
	}
	return out
}

// view is the cluster as its leader sees it, or else one that knows a leader, or any.
func (x Examination) view() (best cluster.Status, known bool) {
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
		if !known || rank(e.Status) > rank(best) || rank(e.Status) == rank(best) && e.Status.Term > best.Term {
			best, known = e.Status, true
		}
	}
	return best, known
}

// each is the state of each member by itself, where it answered, and else as the
// view has it.
func (x Examination) each() []cluster.Member {
	view, _ := x.view()
	members := slices.Clone(view.Members)
	for i, m := range members {
		for _, e := range x.answering() {
			for _, own := range e.Status.Members {
				if e.ID == m.NodeID && own.NodeID == m.NodeID {
					members[i].Disk, members[i].Damage, members[i].Version = own.Disk, own.Damage, own.Version
				}
			}
		}
	}
	return members
}
