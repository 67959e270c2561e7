package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"mainstem/backup"
	"mainstem/objects"
	"mainstem/operator"
	"mainstem/phase"
	"mainstem/settings"
	"mainstem/storage"
)

// backuper is the part of the command line that makes backups and reads them.
type backuper struct {
	asker
	places objects.Config
	bars   *streamer // shows progress
	id     string    // "" is the last backup

	full, local bool
	perSecond   int64
}

func backupCommand(in Invocation) *cobra.Command {
	b := &backuper{
		asker:  asker{token: settings.Variable(in.Environ, operator.TokenVariable), out: in.Stdout},
		places: objects.Config{Stdin: in.Stdin, Stdout: in.Stdout, AzureConnection: settings.Variable(in.Environ, objects.AzureVariable)},
		bars:   &streamer{notes: in.Stderr},
	}
	cmd := &cobra.Command{
		Use: "backup", Short: "Make backups of a cluster, check them, and restore them",
		Long: "Make backups of a running cluster, check them, and restore them into a new cluster or beside live streams.\n" + objects.Where,
	}
	cmd.PersistentFlags().BoolVar(&b.asJSON, "json", false, "print what was done as JSON")
	cmd.PersistentFlags().BoolVarP(&b.bars.quiet, "quiet", "q", false, "no progress, and no word of what was done")
	cmd.AddCommand(b.createCommand(in.Environ), b.listCommand(), b.verifyCommand(), b.restoreCommand(in.Environ))
	return cmd
}

func (b *backuper) createCommand(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "create WHERE", Short: "Make a backup of a running node's copy, and of what is new since the last one",
		Long: "Make a backup of all that the cluster had acknowledged when the command began, read from one node while it serves.\n" +
			"A directory in which there is a backup of the same cluster gets what is new since; that one must be kept then.\n" + objects.Where + "\n" +
			"Keep it as safe as the data: the keys that sign webhooks are in it. Ask a follower to spare the leader.",
		Example: "  mainstem backup create --url http://10.0.0.2:4437 /backups/main\n  mainstem backup create - | ssh elsewhere 'cat > main.tar'",
		Args:    words(1, 1),
		RunE:    func(cmd *cobra.Command, args []string) error { return b.create(cmd.Context(), args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&b.url, "url", nodeURL(environ), "client address of the node to read from ("+settings.URLName+")")
	f.BoolVar(&b.full, "full", false, "read all, whatever backups there are")
	f.BoolVar(&b.local, "local", false, "back up what the node has, without asking the leader whether that is all; for a cluster without a leader")
	f.Int64Var(&b.perSecond, "bytes-per-second", 0, "read no faster than this; 0 for as fast as it goes")
	return cmd
}

func (b *backuper) create(ctx context.Context, where string) (err error) {
	if b.perSecond != 0 && b.perSecond < minBackupRate {
		return phase.Load.In(fmt.Errorf("--bytes-per-second %d: use %d or more, or 0", b.perSecond, minBackupRate))
	}
	bucket, err := objects.OpenForWriting(where, b.places)
	if err != nil {
		return fmt.Errorf("open %s: %w", where, err)
	}
	bar := b.bars.progress(-1, 0)
	m, err := backup.Create(ctx, bucket, b, backup.CreateConfig{
		Full: b.full, Progress: func(received, _ int64) { bar.set(received) }, Note: b.note,
	})
	bar.end()
	if err = errors.Join(err, bucket.End(err == nil)); err != nil {
		return err
	}
	body, err := json.Marshal(storage.LastBackup{ID: m.ID, Index: m.Index, TakenAt: m.TakenAt})
	if err != nil {
		return err
	}
	if _, err := b.ask(ctx, http.MethodPost, operator.BackupDonePath, body); err != nil {
		b.note(fmt.Sprintf("the backup is complete, but the node could not take note of it: %v", err))
	}
	if where == "-" {
		b.note(describe(m))
		return nil
	}
	return b.say(m, "%s", describe(m))
}

// minBackupRate is above what a node takes for a reader that has gone.
const minBackupRate = 64 << 10

func describe(m backup.Manifest) string {
	since := "all"
	if m.Base != nil {
		since = "what is new since " + m.Base.ID
	}
	return fmt.Sprintf("backup %s: %s, up to entry %d, %d bytes in %d objects", m.ID, since, m.Index, m.Stored(), len(m.Objects))
}

// note writes a sentence for a person beside the output.
func (b *backuper) note(sentence string) {
	if !b.bars.quiet {
		fmt.Fprintln(b.bars.notes, sentence)
	}
}

// say prints what was done.
func (b *backuper) say(v any, sentence string, args ...any) error {
	if b.asJSON {
		return json.NewEncoder(b.out).Encode(v)
	}
	if b.bars.quiet {
		return nil
	}
	_, err := fmt.Fprintf(b.out, sentence+"\n", args...)
	return err
}

// Open implements backup.Source over the node's port for clients.
func (b *backuper) Open(ctx context.Context, base backup.Ask) (io.ReadCloser, error) {
	q := url.Values{}
	if base.ClusterID != "" {
		q.Set(operator.ParamBaseCluster, base.ClusterID)
		q.Set(operator.ParamBaseIndex, strconv.FormatUint(base.Index, 10))
	}
	if b.local {
		q.Set(operator.ParamLocal, "true")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(b.url, "/")+operator.BackupPath+"?"+q.Encode(), bytes.NewReader(base.Held))
	if err != nil {
		return nil, fmt.Errorf("--url %s: %w", b.url, err)
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		return b.slowed(ctx, res.Body), nil
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerBytesMax))
	if err != nil {
		return nil, err
	}
	var p struct{ Reason string }
	if json.Unmarshal(answer, &p) == nil && p.Reason == "BASE_UNFIT" {
		return nil, fmt.Errorf("%w: %s", backup.ErrBaseUnfit, detailOf(answer))
	}
	return nil, fmt.Errorf("%s answered %s: %s", b.url, res.Status, detailOf(answer))
}

// slowed reads no faster than was asked for.
func (b *backuper) slowed(ctx context.Context, body io.ReadCloser) io.ReadCloser {
	if b.perSecond == 0 {
		return body
	}
	return &slowReader{ctx: ctx, ReadCloser: body, pace: rate.NewLimiter(rate.Limit(b.perSecond), minBackupRate)}
}

type slowReader struct {
	io.ReadCloser
	ctx  context.Context
	pace *rate.Limiter
}

func (s *slowReader) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p[:min(len(p), minBackupRate)])
	if waited := s.pace.WaitN(s.ctx, n); err == nil {
		err = waited
	}
	return n, err
}

func (b *backuper) listCommand() *cobra.Command {
	return &cobra.Command{Use: "list WHERE", Short: "List the backups in a place, and what was interrupted", Args: words(1, 1),
		Long: "List the backups in a place, and what was interrupted.\n" + objects.Where,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			bucket, err := objects.OpenForReading(args[0], b.places)
			if err != nil {
				return fmt.Errorf("open %s: %w", args[0], err)
			}
			defer func() { err = errors.Join(err, bucket.End(err == nil)) }()
			list, unsound, err := backup.List(cmd.Context(), bucket)
			if err != nil {
				return err
			}
			for id, why := range unsound {
				b.note(fmt.Sprintf("%s is no backup: %v", id, why))
			}
			if b.asJSON {
				return json.NewEncoder(b.out).Encode(list)
			}
			w := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "BACKUP\tTAKEN\tENTRY\tCLUSTER\tNODE\tBYTES\tBASE")
			for _, m := range list {
				base := "-"
				if m.Base != nil {
					base = m.Base.ID
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%d\t%s\n", m.ID, m.TakenAt.Format(time.RFC3339), m.Index, m.ClusterID, m.NodeID, m.Stored(), base)
			}
			return w.Flush()
		}}
}

func (b *backuper) verifyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "verify WHERE", Short: "Read a backup and all that it stands on, and say what is damaged", Args: words(1, 1),
		Long: "Read a backup and all that it stands on to the last byte, and go through it as a restore would. A damaged file is named.\n" + objects.Where,
		RunE: func(cmd *cobra.Command, args []string) error {
			return b.withChain(cmd.Context(), args[0], func(c *backup.Chain) error {
				bar := b.bars.progress(c.Bytes(), 0)
				v, err := c.Verify(bar.set)
				bar.end()
				if err != nil {
					return err
				}
				return b.say(v, "backup %s is sound: %d objects of %d backups, %d bytes, %d pairs", c.Manifest().ID, v.Objects, v.Backups, v.Bytes, v.Pairs)
			})
		}}
	b.idFlag(cmd)
	return cmd
}

func (b *backuper) idFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&b.id, "backup", "", "id of the backup; the last one if it is left out")
}

// withChain opens a backup and all that it stands on.
func (b *backuper) withChain(ctx context.Context, where string, use func(*backup.Chain) error) (err error) {
	bucket, err := objects.OpenForReading(where, b.places)
	if err != nil {
		return fmt.Errorf("open %s: %w", where, err)
	}
	defer func() { err = errors.Join(err, bucket.End(err == nil)) }()
	chain, err := backup.Load(ctx, bucket, b.id)
	if err != nil {
		return err
	}
	return use(chain)
}
