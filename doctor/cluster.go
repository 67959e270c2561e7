package doctor

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// What is still well, as the alerts have it.
const (
	clockWarn  = time.Second
	clockBad   = 30 * time.Second // half of what a leader may be ahead of the others
	lagWarn    = 1000             // entries
	backupWarn = 26 * time.Hour
)

// clusterChecks are about what members have with each other.
func clusterChecks(tokenVariable string) []check {
	return []check{
		{name: "answers", fine: "every member answers", look: lookAnswers,
			why: "a voter that is away counts against the quorum, and nothing is known of its disk or its copy",
			do:  "look whether its process runs, and at its log; if it serves operators on another address (server.admin_address), name that with --url; if it refuses, set " + tokenVariable + "; if it is gone for good: mainstem cluster remove NODE"},
		{name: "reach", fine: "the members reach each other", look: lookReach,
			why: "both answer here, and writes still stop when a quorum cannot talk",
			do:  "look at the network and the certificates between the peer ports of the two"},
		{name: "leader", fine: "all know who leads, in one cluster", look: lookLeader,
			why: "without a leader nothing is written, and two clusters under one name would each keep other data",
			do:  "bring the missing voters back; if they are lost for ever: docs/operations.md, When a majority is lost"},
		{name: "tolerance", look: lookTolerance,
			why: "the loss of another voter stops writes",
			do:  "bring the missing voters back, or add nodes until the voters are an odd number, three or more"},
		{name: "clocks", look: lookClocks,
			why: "lifetimes of streams, leases and tokens go by the clock of whoever leads",
			do:  "run an NTP client on the node's machine and see that it keeps in step"},
		{name: "bootstrap-expect", fine: "all have the same bootstrap-expect", look: lookExpect,
			why: "fresh nodes that expect different numbers may found two clusters, or none",
			do:  "give every founder the same --bootstrap-expect, the number of the founders"},
		{name: "versions", fine: "all run the same version", look: lookVersions,
			why: "what only some members understand is not used, and a mixed cluster is less tried",
			do:  "finish the upgrade, one node after the other"},
		{name: "lag", fine: "all have applied nearly all", look: lookLag,
			why: "a member that is behind serves old data to local reads, and takes long to lead",
			do:  "look at its disk and its load: docs/runbooks/ApplyLag.md"},
		{name: "backup", look: lookBackup,
			why: "a deletion by mistake is replicated like everything else; only a backup brings it back",
			do:  "run mainstem backup create daily: docs/backup.md"},
	}
}

func lookAnswers(x Examination) (spots []spot) {
	view, _ := x.view()
	for _, e := range x.Members {
		if e.Answers() {
			continue
		}
		l, what := Bad, "does not answer"
		if e.Refused {
			l, what = Warn, "does not tell its status"
		}
		for _, m := range view.Members {
			if m.NodeID == e.ID && !m.Voter {
				l = Warn
			}
		}
		spots = append(spots, spot{l, e.Name(), fmt.Sprintf("%s %s: %v", e.Name(), what, e.Err)})
	}
	return spots
}

func lookReach(x Examination) (spots []spot) {
	answers := map[string]bool{}
	for _, e := range x.answering() {
		answers[e.ID] = true
	}
	for _, e := range x.answering() {
		for _, m := range e.Status.Members {
			if !m.Reachable && answers[m.NodeID] {
				spots = append(spots, spot{Bad, e.ID, fmt.Sprintf("%s hears nothing from %s", e.ID, m.NodeID)})
			}
		}
	}
	return spots
}

func lookLeader(x Examination) (spots []spot) {
	clusters := map[string][]string{}
	for _, e := range x.answering() {
		if e.Status.Leader == "" {
			spots = append(spots, spot{Bad, e.ID, e.ID + " knows no leader"})
		}
		clusters[e.Status.ClusterID] = append(clusters[e.Status.ClusterID], e.ID)
	}
	if len(clusters) > 1 {
		spots = append(spots, spot{Bad, "", "these nodes are not of one cluster: " + groups(clusters)})
	}
	return spots
}

// groups writes who says what, in order.
func groups(by map[string][]string) string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(by)) {
		shown := what
		if shown == "" {
			shown = "(none)"
		}
		slices.Sort(by[what])
		parts = append(parts, fmt.Sprintf("%s on %s", shown, strings.Join(by[what], ", ")))
	}
	return strings.Join(parts, "; ")
}

func lookTolerance(x Examination) []spot {
	view, known := x.view()
	if !known || len(view.Members) == 0 {
		return []spot{{Bad, "", "nobody answered who could say how many may fail"}}
	}
	voters := 0
	for _, m := range view.Members {
		if m.Voter {
			voters++
		}
	}
	most := max(0, (voters-1)/2)
	what := fmt.Sprintf("%d more of %d voters may fail", view.FailureTolerance, voters)
	switch {
	case voters == 1:
		return []spot{{OK, "", "a single voter: while it is away nothing is served, which is as it was set up"}}
	case view.FailureTolerance == 0 && voters > 2:
		return []spot{{Bad, "", what}}
	case view.FailureTolerance < most:
		return []spot{{Warn, "", what}}
	case voters%2 == 0:
		return []spot{{Warn, "", fmt.Sprintf("%d voters bear no more losses than %d", voters, voters-1)}}
	}
	return []spot{{OK, "", what}}
}

// lookClocks tells the two that differ most: with one clock off, all others seem
// off to its node.
func lookClocks(x Examination) []spot {
	var most float64
	var from, to string
	known := false
	for _, e := range x.answering() {
		offsets := e.Metrics.byLabel("mainstem_member_clock_offset_seconds", "member")
		for _, member := range slices.Sorted(maps.Keys(offsets)) {
			if off := offsets[member]; !known || math.Abs(off) > math.Abs(most) {
				most, from, to, known = off, e.ID, member, true
			}
		}
	}
	if !known {
		return []spot{{OK, "", "no two clocks could be compared"}}
	}
	apart := time.Duration(math.Abs(most) * float64(time.Second)).Round(time.Millisecond)
	ahead, behind := to, from
	if most < 0 {
		ahead, behind = from, to
	}
	switch {
	case apart > clockBad:
		return []spot{{Bad, "", fmt.Sprintf("the clock of %s is %s ahead of that of %s", ahead, apart, behind)}}
	case apart > clockWarn:
		return []spot{{Warn, "", fmt.Sprintf("the clock of %s is %s ahead of that of %s", ahead, apart, behind)}}
	}
	return []spot{{OK, "", fmt.Sprintf("the clocks differ by %s at most", apart)}}
}

func lookExpect(x Examination) []spot {
	by := map[string][]string{}
	for _, e := range x.answering() {
		if n := e.Settings["cluster.bootstrap_expect"]; n != "" {
			by[n] = append(by[n], e.ID)
		}
	}
	if len(by) < 2 {
		return nil
	}
	return []spot{{Warn, "", "bootstrap-expect differs: " + groups(by)}}
}

func lookVersions(x Examination) []spot {
	by := map[string][]string{}
	for _, m := range x.each() {
		if m.Version != "" {
			by[m.Version] = append(by[m.Version], m.NodeID)
		}
	}
	if len(by) < 2 {
		return nil
	}
	return []spot{{Warn, "", "versions differ: " + groups(by)}}
}

func lookLag(x Examination) (spots []spot) {
	view, _ := x.view()
	for _, m := range view.Members {
		if m.Reachable && m.Lag > lagWarn {
			spots = append(spots, spot{Warn, m.NodeID, fmt.Sprintf("%s has not applied %d entries that others have", m.NodeID, m.Lag)})
		}
	}
	return spots
}

func lookBackup(x Examination) []spot {
	newest, known := 0.0, false
	for _, e := range x.answering() {
		if at, told := e.Metrics.gauge("mainstem_last_backup_timestamp_seconds"); told {
			newest, known = max(newest, at), true
		}
	}
	switch age := x.At.Sub(time.Unix(int64(newest), 0)).Round(time.Minute); {
	case !known:
		return []spot{{OK, "", "no member told of its backups"}}
	case newest == 0:
		return []spot{{Warn, "", "no backup was ever read from the members that answer"}}
	case age > backupWarn:
		return []spot{{Warn, "", fmt.Sprintf("the last backup is %s old", age)}}
	default:
		return []spot{{OK, "", fmt.Sprintf("the last backup is %s old", age)}}
	}
}
