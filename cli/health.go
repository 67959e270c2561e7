package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mainstem/operator"
	"mainstem/settings"
)

const healthTimeout = 5 * time.Second

// healthCommand asks a node whether it is well, for images that have no other
// program to ask with.
func healthCommand(in Invocation) *cobra.Command {
	var url string
	var ready bool
	cmd := &cobra.Command{
		Use: "health", Short: "Ask a node whether it is alive, or ready; exit 0 if it is", Args: NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := operator.LivePath
			if ready {
				path = operator.ReadyPath
			}
			return askHealth(cmd.Context(), in.Stdout, strings.TrimSuffix(url, "/")+path)
		},
	}
	cmd.Flags().StringVar(&url, "url", nodeURL(in.Environ), "client address of the node ("+settings.URLName+")")
	cmd.Flags().BoolVar(&ready, "ready", false, "ask whether it can serve, and not only whether it lives")
	return cmd
}

func askHealth(ctx context.Context, out io.Writer, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, answerBytesMax))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status + ": " + strings.TrimSpace(string(body)))
	}
	_, err = out.Write(body)
	return err
}
