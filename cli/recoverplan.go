package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"mainstem/recovery"
)

// printPlan writes a plan for people.
func printPlan(out io.Writer, p recovery.Plan) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tCLUSTER\tTERM\tVOTED\tLOG\tLAST TERM\tSNAPSHOT\tAPPLIED\tMEMBERS\tDAMAGED\tDIRECTORY")
	for _, f := range p.Nodes {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d-%d\t%d\t%d\t%d\t%d of entry %d\t%s\t%s\n", orNone(f.NodeID), orNone(f.ClusterID), f.Term,
			voted(f), f.FirstIndex, f.LastIndex, f.LastTerm, f.SnapshotIndex, f.Applied, len(f.Members), f.MembersIndex, yesNo(len(f.Damage) > 0), f.Dir)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, sentence := range p.Findings {
		fmt.Fprintln(out, "- "+sentence)
	}
	if p.Problem != "" {
		return nil // which the caller says
	}
	fmt.Fprintf(out, "\nbase %s; cluster %s goes on as %s\n", p.Base, p.ClusterID, p.NewCluster)
	for _, f := range p.Nodes {
		switch {
		case f.NodeID == p.Base:
			fmt.Fprintf(out, "%s keeps its data and is the only voter at first\n", f.NodeID)
		case f.NodeID != "":
			fmt.Fprintf(out, "%s has its data set aside, comes back as a learner and is refilled\n", f.NodeID)
		}
	}
	if p.NoNeed != "" {
		fmt.Fprintf(out, "\nNO NEED: %s\n", p.NoNeed)
	}
	return nil
}

func voted(f recovery.Facts) string {
	if f.VotedFor == "" {
		return "-"
	}
	return fmt.Sprintf("%s in %d", f.VotedFor, f.VotedTerm)
}
