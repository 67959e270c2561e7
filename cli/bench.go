package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mainstem/bench"
)

// errNotOK says that what was measured is not to be believed. The result, which was
// printed, tells why.
var errNotOK = errors.New("bench: the server lost, doubled, reordered or refused something, so these figures do not count")

// benchOptions are the flags of all scenarios.
type benchOptions struct {
	config  bench.Config
	against []string
	rounds  int
	json    bool
}

func benchCommand(in Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a server of the protocol, and check what it does",
		Long: "Measure any server of the Durable Streams protocol over HTTP/1.1, from outside, and read back what was written: a run in which something is\n" +
			"lost, doubled, out of order or refused ends with exit code 1. The generator uses the processors of the machine it runs on; on the\n" +
			"server's own machine compare servers with each other, or with the ceiling, and not with figures from elsewhere.",
		Example: "  mainstem bench append --target http://127.0.0.1:4437/v1/stream --connections 64 --streams 64\n" +
			"  mainstem bench fanout --readers 1000 --rate 20 --mode sse\n" +
			"  mainstem bench append --against http://127.0.0.1:4500/v1/stream --rounds 3",
		Args: NoArgs,
	}
	for _, name := range bench.Scenarios() {
		cmd.AddCommand(scenarioCommand(in, name))
	}
	cmd.AddCommand(ceilingCommand())
	return cmd
}

func scenarioCommand(in Invocation, name string) *cobra.Command {
	o := benchOptions{config: bench.Config{Scenario: name}}
	cmd := &cobra.Command{
		Use:   name,
		Short: bench.Help(name),
		Args:  NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runBench(cmd.Context(), in, o)
		},
	}
	f, c := cmd.Flags(), &o.config
	f.StringSliceVar(&c.Targets, "target", []string{"http://127.0.0.1:4437/v1/stream"}, "base URLs of the nodes of the server, used in turn")
	f.StringSliceVar(&o.against, "against", nil, "base URLs of another server, measured in turn with the first")
	f.IntVar(&o.rounds, "rounds", 3, "how often each of two servers is measured")
	f.BoolVar(&o.json, "json", false, "print JSON, one result a line, and the comparison last")
	f.DurationVar(&c.Duration, "duration", 0, "how long to measure (default 5s)")
	f.DurationVar(&c.Warmup, "warmup", 0, "how long to run before (default 1s)")
	f.DurationVar(&c.Timeout, "timeout", 0, "of one request, and of the wait for the last deliveries (default 30s)")
	f.IntVar(&c.Connections, "connections", 0, "writers, or readers that catch up, at once")
	f.IntVar(&c.Streams, "streams", 0, "how many streams")
	f.IntVar(&c.Size, "size", 0, "bytes of a message")
	f.BoolVar(&c.Bytes, "bytes", false, "messages are bytes and not JSON")
	f.IntVar(&c.Batch, "batch", 0, "messages in one append")
	f.IntVar(&c.Readers, "readers", 0, "live readers over all streams")
	f.Float64Var(&c.Rate, "rate", 0, "messages per second over all streams, for live readers; -1 for as many as the writers can")
	f.StringVar(&c.Mode, "mode", "", "how live readers read: sse or long-poll")
	f.IntVar(&c.Megabytes, "megabytes", 0, "how much to catch up with")
	f.StringArrayVar(&c.Headers, "header", nil, "header of every request, as 'Name: value'; may be repeated")
	f.BoolVar(&c.Blind, "blind", false, "read nothing back")
	f.BoolVar(&c.Keep, "keep", false, "leave the streams where they are")
	f.IntSliceVar(&c.Pids, "pid", nil, "processes of the server on this machine, whose CPU and memory are shown")
	f.StringVar(&c.Label, "label", "", "name of the server in the result (default its URL)")
	return cmd
}

func runBench(ctx context.Context, in Invocation, o benchOptions) error {
	progress, done := newProgress(in)
	o.config.Progress = progress
	if err := o.config.Validate(); err != nil {
		return err
	}
	show := func(r *bench.Result) error {
		done()
		if o.json {
			return json.NewEncoder(in.Stdout).Encode(r)
		}
		return r.Print(in.Stdout)
	}
	if len(o.against) > 0 {
		return compareServers(ctx, in, o, show)
	}
	r, err := bench.Run(ctx, o.config)
	done()
	if err != nil {
		return err
	}
	if err := show(r); err != nil {
		return err
	}
	if !r.OK {
		return errNotOK
	}
	return nil
}

func compareServers(ctx context.Context, in Invocation, o benchOptions, show func(*bench.Result) error) error {
	other := o.config
	other.Targets, other.Label, other.Pids = o.against, "", nil
	if err := other.Validate(); err != nil {
		return fmt.Errorf("--against: %w", err)
	}
	if o.rounds < 1 {
		return fmt.Errorf("--rounds is %d; measure at least once", o.rounds)
	}
	var shown error
	c, err := bench.Compare(ctx, o.config, other, o.rounds, func(r *bench.Result) { shown = errors.Join(shown, show(r)) })
	if err := errors.Join(err, shown); err != nil {
		return err
	}
	if o.json {
		err = json.NewEncoder(in.Stdout).Encode(c)
	} else {
		err = c.Print(in.Stdout)
	}
	if err == nil && !c.OK {
		err = errNotOK
	}
	return err
}

// newProgress returns what shows how far a run is, on a terminal only, and what
// clears it.
func newProgress(in Invocation) (progress func(string, float64), done func()) {
	file, ok := in.Stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil, func() {}
	}
	const steps = 1000
	bar := progressbar.NewOptions(steps, progressbar.OptionSetWriter(file), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(false), progressbar.OptionThrottle(100*time.Millisecond))
	return func(step string, part float64) { // what cannot be drawn is not worth an end of the run
		bar.Describe(step)
		_ = bar.Set(min(int(part*steps), steps-1))
	}, func() { _ = bar.Clear() }
}

// ceilingCommand serves what no server of the protocol can exceed.
func ceilingCommand() *cobra.Command {
	addr := "127.0.0.1:4400"
	cmd := &cobra.Command{
		Use:   "ceiling",
		Short: "Serve a handler that drops what it is sent: what HTTP alone costs on this machine",
		Args:  NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				return fmt.Errorf("--addr %s: %w", addr, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "http://%s\n", l.Addr())
			server := &http.Server{Handler: bench.Ceiling(), ReadHeaderTimeout: 10 * time.Second}
			defer context.AfterFunc(cmd.Context(), func() { _ = server.Close() })()
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&addr, "addr", addr, "where to listen")
	return cmd
}
