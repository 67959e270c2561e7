package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mainstem/cluster"
)

const (
	statusPath     = "/v1/cluster/status"
	statusTimeout  = 10 * time.Second
	statusBytesMax = 1 << 20
	defaultNodeURL = "http://127.0.0.1:4437"
)

// clusterCommand asks a running node about its cluster.
func clusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Ask a running node about its cluster"}
	var url string
	cmd.PersistentFlags().StringVar(&url, "url", defaultNodeURL, "client address of any node")
	status := &cobra.Command{Use: "status", Short: "Show the members, the leader and how many nodes may fail", Args: noArgs}
	asJSON := status.Flags().Bool("json", false, "print what the node answered")
	status.RunE = func(cmd *cobra.Command, _ []string) error {
		return showStatus(cmd.Context(), url, *asJSON, cmd.OutOrStdout())
	}
	cmd.AddCommand(status)
	return cmd
}

func showStatus(ctx context.Context, url string, asJSON bool, out io.Writer) error {
	body, err := fetchStatus(ctx, strings.TrimRight(url, "/")+statusPath)
	if err != nil {
		return fmt.Errorf("ask for the status of the cluster: %w", err)
	}
	if asJSON {
		_, err := fmt.Fprintln(out, strings.TrimSpace(string(body)))
		return err
	}
	var st cluster.Status
	if err := json.Unmarshal(body, &st); err != nil {
		return fmt.Errorf("read the status of the cluster: %w", err)
	}
	return printStatus(out, st)
}

func fetchStatus(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, statusBytesMax))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s: %.300s", url, res.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}

func printStatus(out io.Writer, st cluster.Status) error {
	fmt.Fprintf(out, "cluster %s, as node %s sees it\nleader %s, term %d, committed %d; %d more may fail\n\n",
		orNone(st.ClusterID), st.NodeID, orNone(st.Leader), st.Term, st.CommitIndex, st.FailureTolerance)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tROLE\tREACHABLE\tAPPLIED\tLAG\tCLIENTS\tPEERS\tVERSION")
	for _, m := range st.Members {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", m.NodeID, role(m), yesNo(m.Reachable), m.Applied, m.Lag, m.HTTPAddr, m.PeerAddr, m.Version)
	}
	return w.Flush()
}

func role(m cluster.Member) string {
	switch {
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
