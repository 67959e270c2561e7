package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mainstem/client"
	"mainstem/phase"
)

func exportCommand(in Invocation) *cobra.Command {
	s := &streamer{in: in.Stdin, out: in.Stdout, notes: in.Stderr}
	var output, prefix string
	var names []string
	cmd := &cobra.Command{
		Use: "export", Short: "Write streams and their messages to a file that import reads", Args: NoArgs,
		Long: "Write streams, all or some, with their messages to standard output or a file. The format is that of the Rust crate\n" +
			"durable-streams-server. Each stream is exported as it is when its turn comes; what the file holds of it is whole. Of content that is not\n" +
			"JSON the bytes are kept, and not where one append ended and the next began.\n\n" + exitCodesDoc,
		Example: "  mainstem export -o streams.json\n  mainstem export --prefix room/ | gzip > rooms.json.gz",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.export(cmd.Context(), in.Version, output, prefix, names)
		},
	}
	s.flags(cmd, in)
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write; standard output when not given")
	cmd.Flags().StringVar(&prefix, "prefix", "", "only streams whose names begin with it")
	cmd.Flags().StringArrayVar(&names, "stream", nil, "only this stream; may be given several times")
	return cmd
}

func (s *streamer) export(ctx context.Context, version, output, prefix string, names []string) error {
	if prefix != "" && len(names) > 0 {
		return phase.Load.In(errors.New("--prefix and --stream are both given; give one"))
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	into, keep, discard, err := s.openOutput(output)
	if err != nil {
		return err
	}
	x := exporting{streamer: s, client: c, file: newExportWriter(into, version, time.Now()), bar: s.progress(-1, 0)}
	if len(names) == 0 {
		err = x.all(ctx, prefix)
	}
	for _, name := range names {
		if err == nil {
			err = x.named(ctx, name)
		}
	}
	if err == nil {
		err = x.file.close()
	}
	x.bar.end()
	if err != nil {
		return errors.Join(err, discard())
	}
	if err := keep(); err != nil {
		return err
	}
	if !s.quiet {
		fmt.Fprintf(s.notes, "exported %d streams with %d messages\n", x.file.streams, x.messages)
	}
	return nil
}

// openOutput opens a file that is there under its name only when it is whole.
func (s *streamer) openOutput(path string) (w io.Writer, keep, discard func() error, err error) {
	nothing := func() error { return nil }
	if path == "" {
		return s.out, nothing, nothing, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".export-*")
	if err != nil {
		return nil, nil, nil, err
	}
	keep = func() error {
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return errors.Join(err, os.Remove(f.Name()))
		}
		return os.Rename(f.Name(), path)
	}
	return f, keep, func() error { return errors.Join(f.Close(), os.Remove(f.Name())) }, nil
}

// exporting is one export.
type exporting struct {
	*streamer
	client   *client.Client
	file     *exportWriter
	bar      bar
	messages uint64
	bytes    int64
}

func (x *exporting) all(ctx context.Context, prefix string) error {
	for l, err := range x.client.List(ctx, prefix, listPage) {
		if err == nil {
			err = x.stream(ctx, l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// named exports one stream. A server that lists nothing does not tell when it was
// created.
func (x *exporting) named(ctx context.Context, name string) error {
	info, err := x.client.Head(ctx, name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for l, err := range x.client.List(ctx, name, 1) {
		if err == nil && l.Name == name {
			return x.stream(ctx, l)
		}
		break
	}
	l := client.Listed{Name: name, ContentType: info.ContentType, Closed: info.Closed, ExpiresAt: info.ExpiresAt, CreatedAt: time.Now().UTC().Format(time.RFC3339)}
	var secs uint64
	if _, err := fmt.Sscan(info.TTL, &secs); err == nil {
		l.TTL = &secs
	}
	return x.stream(ctx, l)
}

func (x *exporting) stream(ctx context.Context, l client.Listed) error {
	begun, closed := false, l.Closed
	err := x.client.Follow(ctx, l.Name, client.Start, false, func(c client.Chunk) error {
		if !begun { // only now is it certain that there is something to export
			x.file.begin(exported(l))
			begun = true
		}
		closed = c.Closed
		x.bytes += int64(len(c.Body))
		x.bar.set(x.bytes)
		return x.file.chunk(c)
	})
	var p *client.Problem
	if !begun && errors.As(err, &p) && (p.Status == 404 || p.Status == 410) {
		fmt.Fprintf(x.notes, "%s is gone meanwhile\n", l.Name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("export %s: %w", l.Name, err)
	}
	x.file.end(closed)
	x.messages += x.file.totals.Messages
	return x.file.err
}
