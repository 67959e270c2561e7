package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mainstem/client"
	"mainstem/phase"
	"mainstem/settings"
)

const (
	streamURLName    = "STREAM_URL"
	streamAuthName   = "STREAM_AUTH"
	defaultStreamURL = "http://127.0.0.1:4437/v1/stream"
)

// Exit codes beside 0 and 1, for scripts.
const (
	exitNotFound = 3 // there is no such stream, or it is gone
	exitConflict = 4 // closed, fenced, or not as it was said to be
	exitDenied   = 5 // credentials are missing, bad, or not enough
	exitUnknown  = 6 // an append may or may not have been written
)

const exitCodesDoc = `Exit codes: 0 done; 1 anything else; 3 there is no such stream, or it is gone; 4 a conflict: closed, fenced, or not
as it was said to be; 5 credentials are missing, bad or not enough; 6 the outcome of an append is unknown.`

// exitCodeOf is the code for an error that a command ended with.
func exitCodeOf(err error) int {
	var p *client.Problem
	switch {
	case errors.Is(err, client.ErrOutcomeUnknown):
		return exitUnknown
	case !errors.As(err, &p):
		return 1
	case p.Status == 404 || p.Status == 410:
		return exitNotFound
	case p.Status == 409 || p.Status == 412 || p.Status == 403 && p.Reason == "PRODUCER_FENCED":
		return exitConflict
	case p.Status == 401 || p.Status == 403:
		return exitDenied
	}
	return 1
}

// streamer is the part of the command line that is a client.
type streamer struct {
	in     io.Reader
	out    io.Writer
	notes  io.Writer // what is not content: progress, and what was done
	url    string
	auth   string
	asJSON bool // print answers as JSON
	quiet  bool
}

func (s *streamer) client() (*client.Client, error) {
	c, err := client.New(client.Config{Base: s.url, Auth: s.auth})
	if err != nil {
		return nil, phase.Load.In(fmt.Errorf("--url: %w", err))
	}
	return c, nil
}

// streamCommand works on streams of any server of the protocol.
func streamCommand(in Invocation) *cobra.Command {
	s := &streamer{in: in.Stdin, out: in.Stdout, notes: in.Stderr}
	cmd := &cobra.Command{
		Use: "stream", Short: "Create, append to, read and follow streams, on any server of the protocol",
		Long: "Create, append to, read and follow streams, on any server of the Durable Streams protocol.\n\n" + exitCodesDoc,
	}
	s.flags(cmd, in)
	cmd.AddCommand(s.createCommand(), s.forkCommand(), s.appendCommand(), s.readCommand(), s.tailCommand(), s.headCommand(), s.closeCommand(), s.removeCommand(), s.listCommand(), s.trimCommand())
	s.completeNames(cmd.Commands(), in.Environ)
	return cmd
}

// flags are those of all commands that are clients.
func (s *streamer) flags(cmd *cobra.Command, in Invocation) {
	base := settings.Variable(in.Environ, streamURLName)
	if base == "" {
		base = defaultStreamURL
	}
	cmd.PersistentFlags().StringVar(&s.url, "url", base, "URL below which the streams live ("+streamURLName+")")
	cmd.PersistentFlags().StringVar(&s.auth, "auth", "", "value of the Authorization header ("+streamAuthName+", which others cannot read in the list of processes)")
	cmd.PersistentFlags().BoolVar(&s.asJSON, "output-json", false, "print what was done as a line of JSON")
	cmd.PersistentFlags().BoolVarP(&s.quiet, "quiet", "q", false, "no progress, and no word of what was done")
	cmd.PersistentPreRun = func(*cobra.Command, []string) {
		if s.auth == "" {
			s.auth = settings.Variable(in.Environ, streamAuthName)
		}
	}
}

// done says what was done, as JSON on standard output or as a sentence beside it.
func (s *streamer) done(info client.Info, sentence string, args ...any) error {
	if s.asJSON {
		return json.NewEncoder(s.out).Encode(info)
	}
	if s.quiet {
		return nil
	}
	_, err := fmt.Fprintf(s.notes, sentence+"\n", args...)
	return err
}

func (s *streamer) headCommand() *cobra.Command {
	return &cobra.Command{Use: "head NAME", Short: "Show what is known of a stream without reading it", Args: words(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			info, err := c.Head(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if s.asJSON {
				return json.NewEncoder(s.out).Encode(info)
			}
			w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
			fmt.Fprintf(w, "name\t%s\ncontent type\t%s\nnext offset\t%s\nclosed\t%v\n", info.Name, info.ContentType, info.Next, info.Closed)
			for _, row := range [][2]string{{"lifetime in seconds", info.TTL}, {"expires", info.ExpiresAt}, {"etag", info.ETag},
				{"keeps bytes", info.RetentionBytes}, {"keeps seconds", info.RetentionAge}, {"begins at", info.Horizon}} {
				if row[1] != "" {
					fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
				}
			}
			return w.Flush()
		}}
}

func (s *streamer) closeCommand() *cobra.Command {
	return &cobra.Command{Use: "close NAME", Short: "Close a stream: it can be read, and nothing follows", Args: words(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			next, _, err := c.Append(cmd.Context(), args[0], client.Append{Close: true})
			if err != nil {
				return err
			}
			return s.done(client.Info{Name: args[0], Next: next, Closed: true}, "closed %s at %s", args[0], next)
		}}
}

func (s *streamer) removeCommand() *cobra.Command {
	return &cobra.Command{Use: "rm NAME…", Aliases: []string{"delete"}, Short: "Delete streams", Args: words(1, 1000),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			var errs []error
			for _, name := range args {
				if err := c.Delete(cmd.Context(), name); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", name, err))
					continue
				}
				errs = append(errs, s.done(client.Info{Name: name}, "deleted %s", name))
			}
			return errors.Join(errs...)
		}}
}

func (s *streamer) trimCommand() *cobra.Command {
	return &cobra.Command{Use: "trim NAME OFFSET", Short: "Let all go that a stream holds before an offset (only of Mainstem)", Args: words(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			info, err := c.Trim(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return s.done(info, "%s begins at %s now", args[0], info.Horizon)
		}}
}

// openInput is the file of --file, or the words given, or standard input.
func (s *streamer) openInput(file string, words []string) (in io.ReadCloser, size int64, err error) {
	switch {
	case file != "" && len(words) > 0:
		return nil, 0, phase.Load.In(errors.New("content and --file are both given; give one"))
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return nil, 0, err
		}
		info, err := f.Stat()
		if err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
		return f, info.Size(), nil
	case len(words) > 0:
		return io.NopCloser(stringReader(words)), -1, nil
	}
	return io.NopCloser(s.in), -1, nil
}

// keepGoing is ctx's end as no error, for commands that a person ends.
func keepGoing(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
