package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mainstem/client"
)

// reading is what the flags of read and tail say.
type reading struct {
	*streamer
	offset, out, resume string
	follow, lines       bool
}

func (s *streamer) readCommand() *cobra.Command {
	r := &reading{streamer: s}
	cmd := &cobra.Command{
		Use: "read NAME", Short: "Write what a stream holds to standard output or a file", Args: words(1, 1),
		Long: "Write what a stream holds to standard output or a file: the bytes as they are, or an array of the messages of a JSON stream.\n" +
			"--lines writes each message of a JSON stream on a line of its own.",
		RunE: func(cmd *cobra.Command, args []string) error { return r.run(cmd.Context(), args[0]) },
	}
	r.flags(cmd, client.Start)
	cmd.Flags().BoolVar(&r.follow, "follow", false, "go on with what is appended from then on, until the stream is closed")
	return cmd
}

func (s *streamer) tailCommand() *cobra.Command {
	r := &reading{streamer: s, follow: true}
	cmd := &cobra.Command{
		Use: "tail NAME", Aliases: []string{"follow"}, Short: "Write what is appended to a stream from now on, until it is closed", Args: words(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return r.run(cmd.Context(), args[0]) },
	}
	r.flags(cmd, client.Now)
	return cmd
}

func (r *reading) flags(cmd *cobra.Command, from string) {
	f := cmd.Flags()
	f.StringVar(&r.offset, "offset", from, "where to begin: -1 is the start, now the end, else an offset that the server gave")
	f.BoolVar(&r.lines, "lines", false, "one message of JSON a line")
	f.StringVarP(&r.out, "out", "o", "", "file to write to, instead of standard output")
	f.StringVar(&r.resume, "resume", "", "file that keeps the offset that was reached, from which the next call goes on")
}

func (r *reading) run(ctx context.Context, name string) (err error) {
	c, err := r.client()
	if err != nil {
		return err
	}
	offset := r.offset
	if r.resume != "" {
		kept, err := os.ReadFile(r.resume)
		switch {
		case err == nil:
			offset = strings.TrimSpace(string(kept))
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	out := r.streamer.out
	if r.out != "" {
		f, err := r.openOutput(offset)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	w := &messages{out: out, lines: r.lines || r.follow}
	bar, got := r.progress(-1, 0), int64(0)
	last := client.Info{Name: name, Next: offset}
	err = keepGoing(ctx, c.Follow(ctx, name, offset, r.follow, func(chunk client.Chunk) error {
		if err := w.write(chunk); err != nil {
			return err
		}
		got += int64(len(chunk.Body))
		bar.set(got)
		last = client.Info{Name: name, ContentType: chunk.ContentType, Next: chunk.Next, Closed: chunk.Closed}
		if r.resume == "" {
			return nil
		}
		return replaceFile(r.resume, []byte(chunk.Next+"\n"))
	}))
	bar.end()
	if err = errors.Join(err, w.end()); err != nil {
		return err
	}
	if r.asJSON && r.out == "" { // standard output is the content's
		return nil
	}
	return r.done(last, "%s read up to %s", name, last.Next)
}

// openOutput begins a file anew, or goes on with it where a transfer is resumed.
func (r *reading) openOutput(offset string) (*os.File, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if r.resume != "" && offset != r.offset {
		flags = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	}
	return os.OpenFile(r.out, flags, 0o644)
}

// messages writes chunks one after the other so that they are one content: bytes
// as they come, arrays of JSON as one array or as lines.
type messages struct {
	out     io.Writer
	lines   bool
	array   bool // one was begun
	written bool // there is something in it
}

func (m *messages) write(chunk client.Chunk) error {
	if !isJSON(chunk.ContentType) {
		_, err := m.out.Write(chunk.Body)
		return err
	}
	body := strings.TrimSpace(string(chunk.Body))
	inner, ok := strings.CutPrefix(body, "[")
	if ok {
		inner, ok = strings.CutSuffix(inner, "]")
	}
	if !ok && body != "" {
		return errors.New("the server calls it JSON, and it is no array: is this a server of the protocol?")
	}
	if m.lines {
		return m.writeLines(body)
	}
	if !m.array {
		m.array = true
		if _, err := io.WriteString(m.out, "["); err != nil {
			return err
		}
	}
	if inner == "" {
		return nil
	}
	if m.written {
		inner = "," + inner
	}
	m.written = true
	_, err := io.WriteString(m.out, inner)
	return err
}

func (m *messages) end() error {
	if !m.array {
		return nil
	}
	_, err := fmt.Fprintln(m.out, "]")
	return err
}

// writeLines writes each message of an array on a line of its own.
func (m *messages) writeLines(array string) error {
	if array == "" {
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(array), &list); err != nil {
		return fmt.Errorf("what the server sent is no JSON: %w", err)
	}
	var b bytes.Buffer
	for _, message := range list {
		if err := json.Compact(&b, message); err != nil {
			return err
		}
		b.WriteByte('\n')
	}
	_, err := m.out.Write(b.Bytes())
	return err
}
