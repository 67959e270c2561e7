package recovery

import (
	"fmt"
	"slices"
	"strings"

	"mainstem/cluster"
)

// Plan is a cluster made of what survived: one node that holds the most becomes
// its only voter, the others come back without data and are refilled. The same
// plan is applied on each machine.
type Plan struct {
	Format     int     `json:"format"`
	ClusterID  string  `json:"cluster_id"`            // of the cluster that lost its majority
	NewCluster string  `json:"new_cluster,omitempty"` // the id it goes on under
	Base       string  `json:"base,omitempty"`        // the node whose data is kept
	Nodes      []Facts `json:"nodes"`

	Voters    []Member `json:"voters"`    // of the last configuration that Base knows
	Lost      []string `json:"lost"`      // voters whose data is not here, or damaged
	Committed uint64   `json:"committed"` // entries up to here are known to have been committed
	Beyond    uint64   `json:"beyond"`    // entries of Base after it: kept, for they may have been acknowledged

	Certain  bool     `json:"certain"`            // every acknowledged entry is in Base
	Problem  string   `json:"problem,omitempty"`  // why this plan cannot be applied
	NoNeed   string   `json:"no_need,omitempty"`  // why it should not be
	Findings []string `json:"findings,omitempty"` // sentences for the operator
}

const planFormat = 1

// MakePlan judges the facts. letters make the new cluster's id its own.
func MakePlan(nodes []Facts, letters string) Plan {
	p := Plan{Format: planFormat, Nodes: slices.Clone(nodes)}
	slices.SortFunc(p.Nodes, func(a, b Facts) int { return strings.Compare(a.NodeID, b.NodeID) })
	for _, f := range p.Nodes {
		p.describe(f)
		p.Committed = max(p.Committed, f.committed())
	}
	if p.Problem = p.mixed(); p.Problem != "" {
		return p
	}
	base := p.chooseBase()
	if base == nil {
		p.Problem = "none of these directories can be the base of a new cluster: each is damaged, empty, removed or already part of another recovery"
		return p
	}
	p.Base, p.ClusterID = base.NodeID, base.ClusterID
	p.NewCluster = cluster.Recovered(base.ClusterID, letters)
	p.weigh(*base)
	return p
}

// mixed returns why these directories are not of one cluster.
func (p *Plan) mixed() string {
	ids, seen := map[string]string{}, map[string]string{}
	of := ""
	for _, f := range p.Nodes {
		if f.NodeID == "" {
			continue // its identity is damaged: described, and never chosen
		}
		if other, twice := seen[f.NodeID]; twice {
			return fmt.Sprintf("node %q is here twice, from %s and %s; name each directory once", f.NodeID, other, f.Dir)
		}
		seen[f.NodeID] = f.Dir
		if f.ClusterID == "" {
			continue // never became a member
		}
		ids[f.ClusterID] = f.NodeID
		if of == "" {
			of = f.ClusterID
		}
		if f.ClusterID != of {
			return fmt.Sprintf("node %q is of cluster %s and node %q of cluster %s; leave out those that are not of the cluster to recover", ids[of], of, f.NodeID, f.ClusterID)
		}
	}
	if of == "" {
		return "none of these directories belongs to a cluster"
	}
	return ""
}

func (p *Plan) say(format string, args ...any) {
	p.Findings = append(p.Findings, fmt.Sprintf(format, args...))
}

// describe says what is odd about one directory.
func (p *Plan) describe(f Facts) {
	for _, d := range f.Damage {
		p.say("%s: damaged %s: %s", nameOf(f), d.Part, d.What)
	}
	switch {
	case f.Unfinished != "":
		p.say("%s: a recovery towards cluster %s was begun here and not finished; run that command again", nameOf(f), f.Unfinished)
	case f.RemovedFrom != "":
		p.say("%s: it was removed from its cluster and is not used", nameOf(f))
	case f.SupersededBy != "":
		p.say("%s: its cluster goes on as %s without it; it is not used", nameOf(f), f.SupersededBy)
	case f.NodeID != "" && len(f.Damage) == 0 && f.end().Index == 0:
		p.say("%s: it holds no data", nameOf(f))
	}
	if f.Torn != "" {
		p.say("%s: %s", nameOf(f), f.Torn)
	}
}

func nameOf(f Facts) string {
	if f.NodeID == "" {
		return f.Dir
	}
	return f.NodeID
}

// sound reports a directory whose log counts.
func (f Facts) sound() bool {
	return f.NodeID != "" && f.ClusterID != "" && len(f.Damage) == 0 && f.Unfinished == "" && f.RemovedFrom == "" && f.SupersededBy == "" && f.end().Index > 0
}

// chooseBase returns the node with the latest log, as an election among the
// survivors would: nil when there is none to choose.
func (p *Plan) chooseBase() (base *Facts) {
	for i := range p.Nodes {
		f := &p.Nodes[i]
		if f.sound() && (base == nil || base.end().less(f.end())) {
			base = f
		}
	}
	return base
}

// weigh says what choosing base means for what was acknowledged.
func (p *Plan) weigh(base Facts) {
	var here []string
	for _, m := range base.Members {
		if !m.Voter {
			continue
		}
		p.Voters = append(p.Voters, m)
		at := slices.IndexFunc(p.Nodes, func(f Facts) bool { return f.NodeID == m.NodeID })
		if at >= 0 && p.Nodes[at].sound() {
			here = append(here, m.NodeID)
		} else {
			p.Lost = append(p.Lost, m.NodeID)
		}
	}
	end, quorum := base.end(), len(p.Voters)/2+1
	if len(p.Voters) == 0 {
		p.Problem = fmt.Sprintf("node %q knows no members of its cluster", base.NodeID)
		return
	}
	p.say("the last configuration that %s knows, of entry %d, has %s; %s", base.NodeID, base.MembersIndex, voters(len(p.Voters)), listed("the data of %s is here", here, "none of them is here"))
	if len(here) >= quorum {
		p.NoNeed = fmt.Sprintf("%d of %s are here and whole, which is a quorum: start them, and they go on as they are", len(here), voters(len(p.Voters)))
	}
	p.Certain = len(here) > len(p.Voters)-quorum
	if end.Index > p.Committed {
		p.Beyond = end.Index - p.Committed
	}
	p.say("%s holds the latest log: it ends at entry %d of term %d, and all of it is kept", base.NodeID, end.Index, end.Term)
	if p.Beyond > 0 {
		p.say("entries %d to %d of it are not known to have been committed; they may have been acknowledged, and are kept", p.Committed+1, end.Index)
	}
	if p.Committed > end.Index {
		p.say("LOST for certain: entries %d to %d were committed and are in no directory that can be used", end.Index+1, p.Committed)
		p.Certain = false
	}
	if p.Certain {
		p.say("each quorum of these %s has one whose data is here, so %s holds all that was acknowledged, if no later configuration than that of entry %d was in force", voters(len(p.Voters)), base.NodeID, base.MembersIndex)
		return
	}
	p.say("MAY BE LOST: whatever was acknowledged after entry %d by a quorum of which no data is here (%s). Nothing here can tell whether there is such an entry, or how many", end.Index, strings.Join(p.Lost, ", "))
}

func voters(n int) string {
	if n == 1 {
		return "1 voter"
	}
	return fmt.Sprintf("%d voters", n)
}

func listed(format string, ids []string, none string) string {
	if len(ids) == 0 {
		return none
	}
	return fmt.Sprintf(format, strings.Join(ids, ", "))
}

// facts are those of a node of the plan.
func (p Plan) facts(nodeID string) (Facts, bool) {
	at := slices.IndexFunc(p.Nodes, func(f Facts) bool { return f.NodeID == nodeID })
	if at < 0 {
		return Facts{}, false
	}
	return p.Nodes[at], true
}
