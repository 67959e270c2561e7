package recovery_test

import (
	"strings"
	"testing"

	"mainstem/recovery"
	"mainstem/storage"
)

const oldCluster = "0123456789abcdef"

// node makes facts of a node of a cluster of n voters.
func node(id string, voters int, term, last, applied uint64) recovery.Facts {
	f := recovery.Facts{
		Dir: "/data/" + id, NodeID: id, ClusterID: oldCluster, DirectoryID: "d" + id,
		Term: term, LogKind: storage.LogWAL, FirstIndex: 1, LastIndex: last, LastTerm: term, Applied: applied, AppliedTerm: term, MembersIndex: 1,
	}
	for i := range voters {
		m := recovery.Member{NodeID: "n" + string(rune('1'+i)), Voter: true}
		m.PeerAddr = m.NodeID + ":4438"
		f.Members = append(f.Members, m)
	}
	return f
}

func but(f recovery.Facts, change func(*recovery.Facts)) recovery.Facts {
	change(&f)
	return f
}

func TestPlanChoosesTheLatestLogAndSaysWhatMayBeLost(t *testing.T) {
	damaged := func(f *recovery.Facts) { f.Damage = []storage.Finding{{Part: storage.PartLog, What: "log/1.wal: bad"}} }
	for name, test := range map[string]struct {
		nodes   []recovery.Facts
		base    string
		lost    string
		certain bool
		noNeed  bool
		beyond  uint64
		says    string
		problem string
	}{
		"one of three": {nodes: []recovery.Facts{node("n2", 3, 4, 90, 80)},
			base: "n2", lost: "n1 n3", beyond: 10, says: "MAY BE LOST"},
		"two of five, the longer log": {nodes: []recovery.Facts{node("n1", 5, 4, 90, 80), node("n2", 5, 4, 95, 80)},
			base: "n2", lost: "n3 n4 n5", beyond: 15, says: "MAY BE LOST"},
		"a later term beats a longer log": {nodes: []recovery.Facts{node("n1", 5, 4, 95, 80), node("n2", 5, 5, 90, 80)},
			base: "n2", lost: "n3 n4 n5", beyond: 10, says: "MAY BE LOST"},
		"two of four hold all": {nodes: []recovery.Facts{node("n1", 4, 4, 90, 90), node("n2", 4, 4, 90, 80)},
			base: "n1", lost: "n3 n4", certain: true, says: "holds all that was acknowledged, if no later configuration"},
		"a quorum is here": {nodes: []recovery.Facts{node("n1", 3, 4, 90, 80), node("n2", 3, 4, 90, 80)},
			base: "n1", lost: "n3", certain: true, noNeed: true, beyond: 10},
		"a damaged one does not count": {nodes: []recovery.Facts{node("n1", 3, 4, 90, 80), but(node("n2", 3, 4, 99, 80), damaged)},
			base: "n1", lost: "n2 n3", beyond: 10, says: "n2: damaged raft log: log/1.wal: bad"},
		"a damaged one knew of more": {nodes: []recovery.Facts{node("n1", 3, 4, 90, 80), but(node("n2", 3, 4, 99, 95), damaged)},
			base: "n1", lost: "n2 n3", says: "LOST for certain: entries 91 to 95"},
		"none can be used": {nodes: []recovery.Facts{but(node("n2", 3, 4, 99, 95), damaged)}, problem: "can be the base"},
		"one was removed": {nodes: []recovery.Facts{but(node("n2", 3, 4, 99, 95), func(f *recovery.Facts) { f.RemovedFrom = oldCluster })},
			problem: "can be the base"},
		"two clusters": {nodes: []recovery.Facts{node("n1", 3, 4, 90, 80), but(node("n2", 3, 4, 90, 80), func(f *recovery.Facts) { f.ClusterID = "other" })},
			problem: "leave out those"},
		"one directory twice": {nodes: []recovery.Facts{node("n1", 3, 4, 90, 80), node("n1", 3, 4, 90, 80)}, problem: "here twice"},
		"a checkpoint ahead of the log": {nodes: []recovery.Facts{but(node("n1", 3, 4, 0, 90), func(f *recovery.Facts) { f.SnapshotIndex, f.SnapshotTerm, f.LastTerm = 80, 4, 0 })},
			base: "n1", lost: "n2 n3", says: "ends at entry 90 of term 4"},
	} {
		t.Run(name, func(t *testing.T) {
			p := recovery.MakePlan(test.nodes, "abcd")
			if !strings.Contains(p.Problem, test.problem) || (p.Problem == "") != (test.problem == "") {
				t.Fatalf("got problem %q, want %q", p.Problem, test.problem)
			}
			if p.Base != test.base || strings.Join(p.Lost, " ") != test.lost || p.Certain != test.certain || (p.NoNeed != "") != test.noNeed || p.Beyond != test.beyond {
				t.Fatalf("got base %q, lost %v, certain %v, no need %q, beyond %d", p.Base, p.Lost, p.Certain, p.NoNeed, p.Beyond)
			}
			if all := strings.Join(p.Findings, "\n"); !strings.Contains(all, test.says) {
				t.Fatalf("it does not say %q:\n%s", test.says, all)
			}
			if p.Problem == "" && p.NewCluster != oldCluster+".1-abcd" {
				t.Fatalf("got new cluster %q", p.NewCluster)
			}
		})
	}
}

// The order in which directories are named, and on which machine, changes nothing.
func TestPlanDoesNotDependOnTheOrder(t *testing.T) {
	a, b, c := node("n1", 5, 4, 90, 80), node("n2", 5, 4, 95, 80), node("n3", 5, 4, 95, 70)
	one, other := recovery.MakePlan([]recovery.Facts{a, b, c}, "abcd"), recovery.MakePlan([]recovery.Facts{c, b, a}, "abcd")
	if one.Base != "n2" || other.Base != one.Base || strings.Join(one.Findings, "\n") != strings.Join(other.Findings, "\n") {
		t.Fatalf("got %+v and %+v", one, other)
	}
}
