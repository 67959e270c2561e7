package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"mainstem/cluster"
)

// printStatus writes the status of a cluster for people.
func printStatus(out io.Writer, st cluster.Status) error {
	fmt.Fprintf(out, "cluster %s, as node %s sees it\nleader %s, term %d, committed %d; %d more may fail\n",
		orNone(st.ClusterID), st.NodeID, orNone(st.Leader), st.Term, st.CommitIndex, st.FailureTolerance)
	if len(st.OutOfSpace) > 0 {
		fmt.Fprintf(out, "no data is taken: the disk of %s is full\n", strings.Join(st.OutOfSpace, ", "))
	}
	fmt.Fprintln(out)
	return printMembers(out, st.Members)
}

func printMembers(out io.Writer, members []cluster.Member) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tROLE\tREACHABLE\tAPPLIED\tLAG\tDISK\tCLIENTS\tPEERS\tVERSION")
	for _, m := range members {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", m.NodeID, role(m), yesNo(m.Reachable), m.Applied, m.Lag, m.Disk, m.HTTPAddr, m.PeerAddr, m.Version)
	}
	return w.Flush()
}

func role(m cluster.Member) string {
	switch {
	case m.Damage != "":
		return "damaged"
	case m.Leader:
		return "leader"
	case m.Voter:
		return "voter"
	}
	return "learner"
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
