package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mainstem/cluster"
	"mainstem/operator"
	"mainstem/phase"
	"mainstem/settings"
)

const (
	askTimeout     = 15 * time.Second // above what a node takes for a change
	answerBytesMax = 1 << 20
	defaultNodeURL = "http://127.0.0.1:4437"
)

// asker is a small client of one running node.
type asker struct {
	url    string
	token  string
	asJSON bool
	out    io.Writer
}

// clusterCommand asks a running node about its cluster, or to change it.
func clusterCommand(in Invocation) *cobra.Command {
	a := &asker{token: settings.Variable(in.Environ, operator.TokenVariable), out: in.Stdout}
	cmd := &cobra.Command{
		Use: "cluster", Short: "Ask a running node about its cluster, or to change it",
		Long: "Ask a running node about its cluster, or to change it. Any node takes the call, and the leader carries it out.\n" +
			"Changes are taken from the machine that the node runs on, or with the token in " + operator.TokenVariable + ".",
	}
	cmd.PersistentFlags().StringVar(&a.url, "url", nodeURL(in.Environ), "client address of any node ("+settings.URLName+")")
	cmd.PersistentFlags().BoolVar(&a.asJSON, "json", false, "print what the node answered")
	cmd.AddCommand(keyringCommand(a, in),
		&cobra.Command{Use: "status", Short: "Show the members, the leader and how many nodes may fail", Args: NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context()) }},
		&cobra.Command{Use: "members", Short: "List the members", Args: NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return a.members(cmd.Context()) }},
		&cobra.Command{Use: "join GOSSIP_ADDRESS", Short: "Make a node that is no member yet join the cluster of a node at that address", Args: words(1, 1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.change(cmd.Context(), http.MethodPost, operator.JoinPath, operator.Change{Address: args[0]}, "joined")
			}},
		&cobra.Command{Use: "remove NODE", Short: "Remove a member for good; it does not come back with its old data", Args: words(1, 1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.change(cmd.Context(), http.MethodDelete, operator.MembersPath+"/"+url.PathEscape(args[0]), operator.Change{}, "removed "+args[0])
			}},
		scaleDownCommand(a),
		&cobra.Command{Use: "transfer-leader [NODE]", Short: "Make another voter lead", Args: words(0, 1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.change(cmd.Context(), http.MethodPost, operator.TransferPath, operator.Change{To: strings.Join(args, "")}, "leadership handed over")
			}},
	)
	return cmd
}

// nodeURL is the address of the node to ask, unless a flag names another.
func nodeURL(environ []string) string {
	return cmp.Or(settings.Variable(environ, settings.URLName), defaultNodeURL)
}

// words wants a number of words that are not flags.
func words(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return phase.Load.In(fmt.Errorf("%s: got %d words, want %s", cmd.CommandPath(), len(args), cmd.Use))
		}
		return nil
	}
}

func (a *asker) status(ctx context.Context) error {
	var st cluster.Status
	return a.show(ctx, operator.StatusPath, &st, func() error { return printStatus(a.out, st) })
}

func (a *asker) members(ctx context.Context) error {
	var members []cluster.Member
	return a.show(ctx, operator.MembersPath, &members, func() error { return printMembers(a.out, members) })
}

// show prints what a node answered, as it is or by print.
func (a *asker) show(ctx context.Context, path string, into any, print func() error) error {
	body, err := a.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if a.asJSON {
		_, err := fmt.Fprintln(a.out, strings.TrimSpace(string(body)))
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return print()
}

func (a *asker) change(ctx context.Context, method, path string, q operator.Change, done string) error {
	body, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	answer, err := a.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	if a.asJSON {
		done = strings.TrimSpace(string(answer))
	}
	_, err = fmt.Fprintln(a.out, done)
	return err
}

func (a *asker) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(a.url, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("--url %s: %w", a.url, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the node: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerBytesMax))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, &refusedError{status: res.StatusCode, text: fmt.Sprintf("%s answered %s: %s", a.url, res.Status, detailOf(answer))}
	}
	return answer, nil
}

// refusedError is an answer that is not a success.
type refusedError struct {
	status int
	text   string
}

func (e *refusedError) Error() string { return e.text }

// detailOf is the sentence of a problem, or what came instead.
func detailOf(body []byte) string {
	var p struct{ Detail string }
	if json.Unmarshal(body, &p) == nil && p.Detail != "" {
		return p.Detail
	}
	return fmt.Sprintf("%.300s", bytes.TrimSpace(body))
}
