package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mainstem/client"
	"mainstem/phase"
)

// What import and restore do with a stream that is there already.
const (
	conflictSkip    = "skip"
	conflictFail    = "fail"
	conflictReplace = "replace"
)

const (
	importPieceBytes    = 1 << 20 // of one append, but for a longer message
	importPieceMessages = 10_000
	undoTime            = 10 * time.Second
	importProducer      = "mainstem-import"
)

func importCommand(in Invocation) *cobra.Command {
	s := &streamer{in: in.Stdin, out: in.Stdout, notes: in.Stderr}
	var input, conflict string
	cmd := &cobra.Command{
		Use: "import", Short: "Create streams with their messages from a file of export", Args: NoArgs,
		Long: "Create streams with their messages from standard input or a file, as export of this program or of the Rust crate\n" +
			"durable-streams-server wrote it. Of streams that are there already --on-conflict says what becomes: skip leaves them as they are,\n" +
			"fail ends the import before anything is written, replace deletes them first. Offsets are given out anew. A stream that cannot be\n" +
			"completed is removed again, so that repeating the import with skip completes it.\n\n" + exitCodesDoc,
		Example: "  mainstem import -i streams.json\n  zcat rooms.json.gz | mainstem import --on-conflict replace",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.importAll(cmd.Context(), input, conflict)
		},
	}
	s.flags(cmd, in)
	cmd.Flags().StringVarP(&input, "input", "i", "", "file to read; standard input when not given")
	cmd.Flags().StringVar(&conflict, "on-conflict", conflictSkip, "skip, fail or replace: what becomes of a stream that is there already")
	return cmd
}

func (s *streamer) importAll(ctx context.Context, input, conflict string) (err error) {
	if conflict != conflictSkip && conflict != conflictFail && conflict != conflictReplace {
		return phase.Load.In(fmt.Errorf("--on-conflict: %q is none of skip, fail, replace", conflict))
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	in, size, err := s.openInput(input, nil)
	if err != nil {
		return err
	}
	defer func() { in.Close() }() // only read
	i := &importing{streamer: s, client: c, conflict: conflict}
	var from io.Reader = in
	if conflict == conflictFail { // read twice, so it must be a file
		f, remove, err := rereadable(in)
		if err != nil {
			return err
		}
		defer remove()
		if err := i.refuseConflicts(ctx, f); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		from = f
	}
	bar := s.progress(size, 0)
	err = i.run(ctx, &watchedReader{from, bar, 0})
	bar.end()
	if !s.quiet {
		fmt.Fprintf(s.notes, "imported %d streams with %d messages, skipped %d\n", i.made, i.messages, i.skipped)
	}
	return err
}

// rereadable is a file with what in holds: in itself, or a copy.
func rereadable(in io.Reader) (f io.ReadSeeker, remove func(), err error) {
	if f, ok := in.(*os.File); ok {
		if _, err := f.Seek(0, io.SeekStart); err == nil {
			return f, func() {}, nil
		}
	}
	spool, err := os.CreateTemp("", "mainstem-import-*")
	if err != nil {
		return nil, nil, err
	}
	remove = func() {
		_ = spool.Close()
		_ = os.Remove(spool.Name())
	}
	if _, err := io.Copy(spool, in); err == nil {
		_, err = spool.Seek(0, io.SeekStart)
		if err == nil {
			return spool, remove, nil
		}
	}
	remove()
	return nil, nil, fmt.Errorf("keep the input, to read it twice: %w", err)
}

// watchedReader shows how far a file was read.
type watchedReader struct {
	io.Reader
	bar bar
	at  int64
}

func (r *watchedReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.at += int64(n)
	r.bar.set(r.at)
	return n, err
}

// importing is one import, and the stream that it is at.
type importing struct {
	*streamer
	client                  *client.Client
	conflict                string
	made, skipped, messages int

	name        string // "" between streams
	contentType string
	piece       []byte
	pieces      uint64 // appended
	waiting     int    // messages in piece
}

// there tells whether a stream, or what is kept of one, is at a path.
func (i *importing) there(ctx context.Context, name string) (bool, error) {
	_, err := i.client.Head(ctx, name)
	var p *client.Problem
	if errors.As(err, &p) && p.Status == 404 {
		return false, nil
	}
	if errors.As(err, &p) && p.Status == 410 {
		return true, nil
	}
	return true, err
}

// refuseConflicts looks at all names before anything is written.
func (i *importing) refuseConflicts(ctx context.Context, in io.Reader) error {
	seen := map[string]bool{}
	return readExport(in, exportVisitor{begin: func(s exportStream) (bool, error) {
		name, err := s.nameIn()
		if err != nil {
			return false, err
		}
		there, err := i.there(ctx, name)
		if err == nil && (there || seen[name]) {
			err = &client.Problem{Status: 409, Reason: "IMPORT_CONFLICT", Detail: name + " is there already, and nothing was imported; use --on-conflict skip or replace"}
		}
		seen[name] = true
		return false, err
	}})
}

func (i *importing) run(ctx context.Context, in io.Reader) error {
	err := readExport(in, exportVisitor{
		begin:   func(s exportStream) (bool, error) { return i.begin(ctx, s) },
		message: func(data []byte) error { return i.message(ctx, data) },
		end:     func(closed bool) error { return i.end(ctx, closed) },
	})
	if err != nil && i.name != "" { // half of a stream would pass for all of it
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		if gone := i.client.Delete(undo, i.name); gone != nil {
			err = errors.Join(err, fmt.Errorf("%s holds a part only, and could not be removed: %w", i.name, gone))
		}
	}
	return err
}

func (i *importing) begin(ctx context.Context, s exportStream) (wanted bool, err error) {
	name, err := s.nameIn()
	if err != nil {
		return false, err
	}
	with, err := s.creation()
	if err != nil {
		return false, err
	}
	if !with.ExpiresAt.IsZero() && !with.ExpiresAt.After(time.Now()) {
		i.skipped++
		fmt.Fprintf(i.notes, "%s ended at %s and is left out\n", name, with.ExpiresAt.Format(time.RFC3339))
		return false, nil
	}
	there, err := i.there(ctx, name)
	switch {
	case err != nil:
		return false, err
	case there && i.conflict == conflictSkip:
		i.skipped++
		if !i.quiet {
			fmt.Fprintf(i.notes, "%s is there already and is left as it is\n", name)
		}
		return false, nil
	case there && i.conflict == conflictReplace:
		if err := i.client.Delete(ctx, name); err != nil {
			return false, err
		}
	}
	_, created, err := i.client.Create(ctx, name, with)
	if err == nil && !created {
		err = &client.Problem{Status: 409, Reason: "IMPORT_CONFLICT", Detail: name + " was created by somebody else meanwhile"}
	}
	if err != nil {
		return false, err
	}
	i.name, i.contentType, i.piece, i.pieces, i.waiting = name, with.ContentType, i.piece[:0], 0, 0
	return true, nil
}

// creation is what a stream of the file is to be created as.
func (s *exportStream) creation() (with client.Creation, err error) {
	with.ContentType = s.Config.ContentType
	with.RetentionBytes, with.RetentionAge = int64(s.Config.RetentionBytes), time.Duration(s.Config.RetentionAge)*time.Second
	switch {
	case s.Config.TTL != nil: // the crate derives an end from it, which slides
		with.TTL = time.Duration(*s.Config.TTL) * time.Second
	case s.Config.ExpiresAt != nil:
		if with.ExpiresAt, err = time.Parse(time.RFC3339, *s.Config.ExpiresAt); err != nil {
			return with, fmt.Errorf("expires_at: %w", err)
		}
	}
	return with, nil
}

// message adds one message to what is appended next.
func (i *importing) message(ctx context.Context, data []byte) error {
	isJSON := isJSON(i.contentType)
	if i.waiting > 0 && (len(i.piece)+len(data)+2 > importPieceBytes || i.waiting == importPieceMessages) {
		if err := i.flush(ctx); err != nil {
			return err
		}
	}
	i.messages++
	if isJSON && !json.Valid(data) {
		return fmt.Errorf("a message of %s is no JSON: %.80q", i.name, data)
	}
	if isJSON {
		open := byte(',')
		if len(i.piece) == 0 {
			open = '['
		}
		i.piece, i.waiting = append(append(i.piece, open), data...), i.waiting+1
		return nil
	}
	for len(data) > 0 { // of other content a long message goes in parts: nobody sees where
		n := min(len(data), importPieceBytes-len(i.piece))
		i.piece, i.waiting, data = append(i.piece, data[:n]...), i.waiting+1, data[n:]
		if len(i.piece) == importPieceBytes {
			if err := i.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush appends what has come together. A repeat after a broken answer is not
// written twice.
func (i *importing) flush(ctx context.Context) error {
	if i.waiting == 0 {
		return nil
	}
	body := i.piece
	if isJSON(i.contentType) {
		body = append(body, ']')
	}
	_, _, err := i.client.Append(ctx, i.name, client.Append{ContentType: i.contentType, Body: body,
		Producer: &client.Producer{ID: importProducer, Seq: i.pieces}})
	i.piece, i.pieces, i.waiting = body[:0], i.pieces+1, 0
	return err
}

func (i *importing) end(ctx context.Context, closed bool) error {
	if err := i.flush(ctx); err != nil {
		return err
	}
	if closed {
		if _, _, err := i.client.Append(ctx, i.name, client.Append{Close: true}); err != nil {
			return err
		}
	}
	i.name = ""
	i.made++
	return nil
}
