package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mainstem/operator"
	"mainstem/settings"
)

// subscriptionsCommand asks a running node about subscriptions.
func subscriptionsCommand(in Invocation) *cobra.Command {
	a := &asker{token: settings.Variable(in.Environ, operator.TokenVariable), out: in.Stdout}
	base := "/v1/stream"
	cmd := &cobra.Command{
		Use: "subscriptions", Short: "Ask a running node about subscriptions, or delete one",
		Long: "Ask a running node about subscriptions, or delete one. Any node takes the call.",
	}
	cmd.PersistentFlags().StringVar(&a.url, "url", nodeURL(in.Environ), "client address of any node ("+settings.URLName+")")
	cmd.PersistentFlags().StringVar(&base, "stream-base-path", base, "the path below which streams live")
	cmd.PersistentFlags().BoolVar(&a.asJSON, "json", false, "print what the node answered")
	at := func(id string) string { return base + "/__ds/subscriptions/" + url.PathEscape(id) }
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the subscriptions, and who holds them", Args: NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.listSubscriptions(cmd.Context(), base+"/__ds/subscriptions")
			}},
		&cobra.Command{Use: "show ID", Short: "Show a subscription with its streams and cursors", Args: words(1, 1),
			RunE: func(cmd *cobra.Command, args []string) error {
				var s shownSubscription
				return a.show(cmd.Context(), at(args[0]), &s, func() error { return s.print(a) })
			}},
		&cobra.Command{Use: "delete ID", Short: "Delete a subscription; what its workers do is fenced at once", Args: words(1, 1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.deleteSubscription(cmd.Context(), at(args[0]), args[0])
			}},
		&cobra.Command{Use: "rotate-key", Short: "Sign webhooks with a new key; the old one is published for another day", Args: NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.change(cmd.Context(), http.MethodPost, operator.RotateKeyPath, operator.Change{}, "rotated")
			}},
	)
	return cmd
}

// listedSubscription is one line of a listing.
type listedSubscription struct {
	ID, Type, Status string
	Pattern, Holder  *string
	PendingStreams   uint64 `json:"pending_streams"`
	Generation       uint64
	Retries          uint32
	NextAttemptAt    *int64 `json:"next_attempt_at"`
}

// listSubscriptions shows all pages as one.
func (a *asker) listSubscriptions(ctx context.Context, path string) error {
	var all []json.RawMessage
	for after := ""; ; {
		body, err := a.ask(ctx, http.MethodGet, path+"?after="+after, nil)
		if err != nil {
			return err
		}
		var page struct {
			Subscriptions []json.RawMessage
			Next          string
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		all = append(all, page.Subscriptions...)
		if after = page.Next; after == "" {
			break
		}
	}
	if a.asJSON {
		if all == nil {
			all = []json.RawMessage{}
		}
		return json.NewEncoder(a.out).Encode(map[string]any{"subscriptions": all})
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTYPE\tPATTERN\tSTATUS\tPENDING\tGENERATION\tHOLDER\tRETRIES\tNEXT ATTEMPT")
	for _, raw := range all {
		var s listedSubscription
		if err := json.Unmarshal(raw, &s); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		next := ""
		if s.NextAttemptAt != nil {
			next = time.UnixMilli(*s.NextAttemptAt).UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%d\t%s\n", s.ID, s.Type, orDash(s.Pattern), s.Status, s.PendingStreams, s.Generation, orDash(s.Holder), s.Retries, orNone(next))
	}
	return w.Flush()
}

// shownSubscription is the body of §6.3, as far as people are shown it.
type shownSubscription struct {
	ID, Type, Status     string
	Pattern, Description *string
	WakeStream           *string `json:"wake_stream"`
	LeaseTTL             int64   `json:"lease_ttl_ms"`
	CreatedAt            string  `json:"created_at"`
	Webhook              *struct{ URL string }
	Streams              []struct {
		Path        string
		LinkType    string `json:"link_type"`
		AckedOffset string `json:"acked_offset"`
	}
}

func (s *shownSubscription) print(a *asker) error {
	to := orDash(s.WakeStream)
	if s.Webhook != nil {
		to = s.Webhook.URL
	}
	fmt.Fprintf(a.out, "%s, %s to %s, %s\npattern %s, lease %s, created %s\n", s.ID, s.Type, to, s.Status,
		orDash(s.Pattern), time.Duration(s.LeaseTTL)*time.Millisecond, s.CreatedAt)
	if s.Description != nil {
		fmt.Fprintln(a.out, *s.Description)
	}
	fmt.Fprintln(a.out)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STREAM\tLINK\tACKED")
	for _, l := range s.Streams {
		fmt.Fprintf(w, "%s\t%s\t%s\n", l.Path, l.LinkType, l.AckedOffset)
	}
	return w.Flush()
}

// deleteSubscription asks for it first: the protocol answers the deletion of
// what is not there as a success.
func (a *asker) deleteSubscription(ctx context.Context, path, id string) error {
	if _, err := a.ask(ctx, http.MethodGet, path, nil); err != nil {
		return err
	}
	if _, err := a.ask(ctx, http.MethodDelete, path, nil); err != nil {
		return err
	}
	done := "deleted " + strings.TrimSpace(id)
	if a.asJSON {
		done = `{"done":true}`
	}
	_, err := fmt.Fprintln(a.out, done)
	return err
}

func orDash(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}
