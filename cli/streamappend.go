package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mainstem/client"
	"mainstem/phase"
	"mainstem/settings"
)

const jsonType = "application/json"

// appending is what the flags of append say.
type appending struct {
	*streamer
	file, contentType, producer, resume, seq string
	ifMatch                                  string
	json, lines, close                       bool
	chunk                                    string
	epoch                                    uint64
}

func (s *streamer) appendCommand() *cobra.Command {
	a := &appending{streamer: s}
	cmd := &cobra.Command{
		Use: "append NAME [CONTENT…]", Aliases: []string{"write"}, Short: "Append words, a file or standard input to a stream", Args: words(1, 1000),
		Long: "Append words, a file or standard input to a stream. What is longer than --chunk goes in several appends; with --lines an append ends\n" +
			"with a line, each line of JSON is a message, and what is there is sent before more is waited for.\n\n" +
			"With --producer an append that may have been written is sent again and written once. With --resume too, which needs --file, a transfer\n" +
			"that broke off goes on where it was acknowledged when the same command is given again.",
		Example: "  mainstem stream append chat/1 --json '{\"text\":\"hello\"}'\n  tail -f app.log | mainstem stream append logs/app --lines\n" +
			"  mainstem stream append big --file data.bin --producer loader --resume loader.state",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.run(cmd.Context(), args[0], args[1:])
		},
	}
	f := cmd.Flags()
	f.StringVarP(&a.file, "file", "f", "", "what to append")
	f.StringVar(&a.contentType, "content-type", "", "type of the content; the stream's own when not given")
	f.BoolVar(&a.json, "json", false, "the same as --content-type application/json")
	f.BoolVar(&a.lines, "lines", false, "end appends with a line; a line of JSON is a message")
	f.StringVar(&a.chunk, "chunk", "1MiB", "how much one append holds at most, but for a longer line")
	f.StringVar(&a.producer, "producer", "", "id of this writer, by which repeats are recognised")
	f.Uint64Var(&a.epoch, "epoch", 0, "epoch of the producer; a higher one than before fences earlier writers off")
	f.StringVar(&a.resume, "resume", "", "file that keeps how far the transfer came; gone when it is done")
	f.StringVar(&a.seq, "seq", "", "Stream-Seq, for a single append")
	f.StringVar(&a.ifMatch, "if-match", "", "append only if the stream ends at this offset, -1 for an empty one; else exit with code 4")
	f.BoolVar(&a.close, "close", false, "close the stream after it")
	return cmd
}

func (a *appending) check() (chunk int64, err error) {
	if a.json {
		if a.contentType != "" && a.contentType != jsonType {
			return 0, errors.New("--json and --content-type are both given; give one")
		}
		a.contentType = jsonType
	}
	if chunk, err = settings.ParseSize(a.chunk); err != nil || chunk < 1 || chunk > settings.BodyBytesMax {
		return 0, fmt.Errorf("--chunk: want a size from 1 to %s, like 1MiB", settings.FormatSize(settings.BodyBytesMax))
	}
	if a.resume != "" && (a.file == "" || a.producer == "") {
		return 0, errors.New("--resume needs --file, to begin in its middle, and --producer, so that nothing is written twice")
	}
	if a.producer == "" && a.epoch != 0 {
		return 0, errors.New("--epoch is that of a --producer, which is not given")
	}
	return chunk, nil
}

func (a *appending) run(ctx context.Context, name string, words []string) error {
	chunk, err := a.check()
	if err != nil {
		return phase.Load.In(err)
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	in, size, err := a.openInput(a.file, words)
	if err != nil {
		return err
	}
	defer in.Close() // only read
	if a.contentType == "" {
		info, err := c.Head(ctx, name)
		if err != nil {
			return err
		}
		a.contentType = info.ContentType
	}
	at, err := loadTransfer(a.resume, transfer{Stream: name, File: a.file, Size: size, Chunk: chunk, Lines: a.lines, Epoch: a.epoch})
	if err != nil {
		return err
	}
	if at.Position > 0 {
		if _, err := in.(io.Seeker).Seek(at.Position, io.SeekStart); err != nil {
			return err
		}
	}
	next, err := a.send(ctx, c, name, pieces{in: in, max: int(chunk), lines: a.lines, whole: isJSON(a.contentType) && !a.lines, full: a.resume != ""}, at)
	if err != nil {
		return err
	}
	return a.done(client.Info{Name: name, ContentType: a.contentType, Next: next, Closed: a.close}, "appended to %s, which now ends at %s", name, next)
}

// send appends piece by piece. at is how far an earlier run came.
func (a *appending) send(ctx context.Context, c *client.Client, name string, from pieces, at transfer) (next string, err error) {
	bar := a.progress(at.Size, at.Position)
	for piece, err := range from.all() {
		if err != nil {
			return "", err
		}
		if a.seq != "" && at.Position > 0 {
			return "", errors.New("--seq is for a single append, and this takes several; give a larger --chunk")
		}
		body := piece
		if from.lines && isJSON(a.contentType) {
			if body, err = linesToArray(piece); err != nil {
				return "", err
			}
		}
		if len(bytes.TrimSpace(body)) > 0 || !isJSON(a.contentType) {
			add := client.Append{ContentType: a.contentType, Body: body, Seq: a.seq, IfMatch: a.ifMatch}
			if a.producer != "" {
				add.Producer = &client.Producer{ID: a.producer, Epoch: a.epoch, Seq: at.Seq}
			}
			if next, _, err = c.Append(ctx, name, add); err != nil {
				return "", err
			}
			if a.ifMatch != "" { // nobody else may come between the pieces either
				a.ifMatch = next
			}
		}
		at.Seq++
		at.Position += int64(len(piece))
		bar.set(at.Position)
		if err := at.save(a.resume); err != nil {
			return "", err
		}
	}
	if a.close {
		if next, _, err = c.Append(ctx, name, client.Append{Close: true, IfMatch: a.ifMatch}); err != nil {
			return "", err
		}
	}
	bar.end()
	return next, at.forget(a.resume)
}

func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && t == jsonType
}

// linesToArray makes one body of the messages that stand on lines. Each must be
// one value: a slip must not join two lines to something else.
func linesToArray(lines []byte) ([]byte, error) {
	out := []byte{'['}
	for line := range bytes.Lines(lines) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if !json.Valid(line) {
			return nil, fmt.Errorf("no JSON on this line, and nothing from it on was appended: %.80s", line)
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, line...)
	}
	if len(out) == 1 {
		return nil, nil
	}
	return append(out, ']'), nil
}

func stringReader(words []string) io.Reader { return strings.NewReader(strings.Join(words, " ")) }

func (s *streamer) createCommand() *cobra.Command {
	var with client.Creation
	var asJSON bool
	var expires, file, keep string
	cmd := &cobra.Command{
		Use: "create NAME [CONTENT…]", Short: "Create a stream, or find that it is there already and the same", Args: words(1, 1000),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if asJSON {
				with.ContentType = jsonType
			}
			if expires != "" {
				if with.ExpiresAt, err = time.Parse(time.RFC3339, expires); err != nil {
					return phase.Load.In(fmt.Errorf("--expires-at: %q is no time like 2027-01-31T12:00:00Z", expires))
				}
			}
			if keep != "" {
				if with.RetentionBytes, err = settings.ParseSize(keep); err != nil || with.RetentionBytes < 1 {
					return phase.Load.In(fmt.Errorf("--retain-bytes: %q is no size like 1GiB", keep))
				}
			}
			if file != "" || len(args) > 1 {
				in, _, err := s.openInput(file, args[1:])
				if err != nil {
					return err
				}
				defer in.Close() // only read
				if with.Body, err = readAtMost(in, settings.BodyBytesMax); err != nil {
					return err
				}
			}
			return s.create(cmd.Context(), args[0], with)
		},
	}
	f := cmd.Flags()
	f.StringVar(&with.ContentType, "content-type", "", "type of all that it will hold; application/octet-stream when not given")
	f.BoolVar(&asJSON, "json", false, "the same as --content-type application/json")
	f.DurationVar(&with.TTL, "ttl", 0, "how long it lives after the last read or write, in whole seconds")
	f.StringVar(&expires, "expires-at", "", "when it ends, like 2027-01-31T12:00:00Z")
	f.StringVar(&keep, "retain-bytes", "", "keep at least so much of the newest data, like 1GiB, and let what is older go")
	f.DurationVar(&with.RetentionAge, "retain-age", 0, "keep data for so long, in whole seconds, and then let it go")
	f.BoolVar(&with.Closed, "closed", false, "with nothing to follow")
	f.StringVarP(&file, "file", "f", "", "its first content")
	return cmd
}

func (s *streamer) create(ctx context.Context, name string, with client.Creation) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	info, created, err := c.Create(ctx, name, with)
	if err != nil {
		return err
	}
	what := "created"
	if !created {
		what = "was there already, and the same:"
	}
	return s.done(info, "%s %s, which ends at %s", what, name, info.Next)
}

func (s *streamer) forkCommand() *cobra.Command {
	var with client.Creation
	cmd := &cobra.Command{
		Use: "fork SOURCE NAME", Short: "Create a stream that begins with what another holds", Args: words(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			with.Source = args[0]
			return s.create(cmd.Context(), args[1], with)
		},
	}
	f := cmd.Flags()
	f.StringVar(&with.Offset, "offset", "", "where it leaves the other; at its end when not given")
	f.StringVar(&with.SubOffset, "sub-offset", "", "messages (JSON) or bytes after --offset")
	f.DurationVar(&with.TTL, "ttl", 0, "how long it lives after the last read or write, in whole seconds")
	return cmd
}

// readAtMost reads all of a small input.
func readAtMost(in io.Reader, most int) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(in, int64(most)+1))
	if err == nil && len(content) > most {
		err = fmt.Errorf("the content is longer than the %s that one append may hold; append it with --lines, or in parts", settings.FormatSize(int64(most)))
	}
	return content, err
}
