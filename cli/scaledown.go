package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mainstem/cluster"
	"mainstem/operator"
	"mainstem/phase"
)

const (
	scaleDownPause  = time.Second // between attempts, and after a refusal
	scaleDownWithin = 2 * time.Minute
	refusalsMax     = 3 // in a row, before they are believed: the node asked may have an old list
)

// scaleDown removes the members of a numbered set from a number on.
type scaleDown struct {
	prefix string
	to     int
	pause  time.Duration
}

// scaleDownCommand is for what lowers the number of nodes, such as the hook of
// the Helm chart: members that are only stopped still count for the quorum.
func scaleDownCommand(a *asker) *cobra.Command {
	s := scaleDown{pause: scaleDownPause}
	var within time.Duration
	cmd := &cobra.Command{
		Use: "scale-down", Short: "Remove the members whose names end in a number not below --to", Args: NoArgs,
		Long: "Remove the members named PREFIX and a number, such as a StatefulSet's pods, from --to on: the highest first, one at a time, each\n" +
			"only if the voters left have a quorum. Do it before the nodes are stopped. It may be repeated, and does nothing when there are none.",
		Example: "  mainstem cluster scale-down --prefix mainstem- --to 3",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.prefix == "" || s.to < 1 {
				return phase.Load.In(errors.New("scale-down needs --prefix, with which the names of the nodes begin, and --to, how many stay (1 or more)"))
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), within)
			defer cancel()
			return a.scaleDown(ctx, s)
		},
	}
	cmd.Flags().StringVar(&s.prefix, "prefix", "", "what stands before the number in the nodes' names, such as mainstem-")
	cmd.Flags().IntVar(&s.to, "to", 0, "how many stay: the first number that is removed")
	cmd.Flags().DurationVar(&within, "within", scaleDownWithin, "how long it may take")
	return cmd
}

// scaleDown looks and removes until there is nothing to remove. No answer, or one
// that says try again, is waited out; a refusal that stands ends it.
func (a *asker) scaleDown(ctx context.Context, s scaleDown) error {
	refusals := 0
	var last error
	for {
		above, err := a.above(ctx, s)
		if err == nil && len(above) == 0 {
			_, err := fmt.Fprintf(a.out, "no member %s%d or above\n", s.prefix, s.to)
			return err
		}
		if err == nil {
			err = a.change(ctx, http.MethodDelete, operator.MembersPath+"/"+url.PathEscape(above[0]), operator.Change{}, "removed "+above[0])
		}
		if err == nil {
			refusals = 0
			continue
		}
		var no *refusedError
		if errors.As(err, &no) && no.status < http.StatusInternalServerError {
			if refusals++; refusals == refusalsMax || no.status != http.StatusConflict {
				return err
			}
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-time.After(s.pause):
		case <-ctx.Done():
			return fmt.Errorf("not done in time: %w", cmp.Or(last, err))
		}
	}
}

// above lists the members to remove, the highest number first.
func (a *asker) above(ctx context.Context, s scaleDown) ([]string, error) {
	body, err := a.ask(ctx, http.MethodGet, operator.MembersPath, nil)
	if err != nil {
		return nil, err
	}
	var members []cluster.Member
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("%s knows no members: it belongs to no cluster yet", a.url)
	}
	return s.choose(members), nil
}

func (s scaleDown) choose(members []cluster.Member) []string {
	numbers := map[string]int{}
	var names []string
	for _, m := range members {
		digits, ours := strings.CutPrefix(m.NodeID, s.prefix)
		n, err := strconv.Atoi(digits)
		if !ours || err != nil || digits != strconv.Itoa(n) || n < s.to {
			continue
		}
		numbers[m.NodeID] = n
		names = append(names, m.NodeID)
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Compare(numbers[y], numbers[x]) })
	return names
}
