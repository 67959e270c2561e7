package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mainstem/backup"
	"mainstem/client"
	"mainstem/objects"
	"mainstem/phase"
	"mainstem/recovery"
	"mainstem/settings"
	"mainstem/storage"
	"mainstem/stream"
)

// restoreBatchBytes is how much one append of a restored stream carries, unless
// one append of the old one was larger.
const restoreBatchBytes = 1 << 20

// restoration is what the flags of restore say.
type restoration struct {
	*backuper
	dataDir, nodeID, peerAddr, logStore string

	streams          []string
	into, auth       string
	prefix, conflict string
}

func (b *backuper) restoreCommand(environ []string) *cobra.Command {
	r := &restoration{backuper: b}
	cmd := &cobra.Command{
		Use: "restore WHERE --data-dir DIRECTORY --node-id NODE | restore WHERE --streams PATTERN --into URL", Args: words(1, 1),
		Short: "Make a new cluster of a backup, or put single streams of it beside live ones",
		Long: "With --data-dir: make the data directory of the first node of a new cluster, with a new id, which holds all that the backup holds.\n" +
			"Start that node, and the others with --join naming it. A restore that was interrupted goes on where it ended.\n\n" +
			"With --streams: append what the backup holds of the streams that match a pattern (* is one segment, ** any number) to new streams\n" +
			"of a running server. They get new offsets; a fork becomes a stream of its own; producers and subscriptions are not restored.\n\n" + objects.Where,
		Example: "  mainstem backup restore /backups/main --data-dir /var/lib/mainstem --node-id a --peer-addr 10.0.0.1:4438\n" +
			"  mainstem backup restore /backups/main --streams 'chat/**' --prefix restored/ --into http://127.0.0.1:4437/v1/stream",
		RunE: func(cmd *cobra.Command, args []string) error { return r.run(cmd.Context(), args[0]) },
	}
	b.idFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&r.dataDir, "data-dir", "", "empty directory for the data of the new cluster's first node")
	f.StringVar(&r.nodeID, "node-id", "", "that node's id")
	f.StringVar(&r.peerAddr, "peer-addr", "127.0.0.1:4438", "that node's address for its peers")
	f.StringVar(&r.logStore, "raft-log-store", "wal", "as that node's setting: wal or boltdb")
	f.StringArrayVar(&r.streams, "streams", nil, "restore streams whose names match; may be repeated")
	f.StringVar(&r.into, "into", settings.Variable(environ, streamURLName), "URL below which the restored streams are to live ("+streamURLName+")")
	f.StringVar(&r.auth, "auth", settings.Variable(environ, streamAuthName), "value of the Authorization header ("+streamAuthName+")")
	f.StringVar(&r.prefix, "prefix", "", "put before the names of restored streams")
	f.StringVar(&r.conflict, "on-conflict", conflictFail, "what to do with a stream that is there already: fail, skip, or replace it, for which it is deleted")
	return cmd
}

func (r *restoration) run(ctx context.Context, where string) error {
	if err := r.check(); err != nil {
		return phase.Load.In(err)
	}
	return r.withChain(ctx, where, func(c *backup.Chain) error {
		if r.dataDir != "" {
			return r.cluster(c)
		}
		return r.some(ctx, c)
	})
}

func (r *restoration) check() error {
	switch {
	case (r.dataDir == "") == (len(r.streams) == 0):
		return errors.New("say what to restore: --data-dir DIRECTORY --node-id NODE for a new cluster, or --streams PATTERN --into URL for streams beside live ones")
	case r.dataDir != "" && r.nodeID == "":
		return errors.New("--node-id: name the new cluster's first node, as it will be started")
	case r.dataDir != "" && r.logStore != "wal" && r.logStore != "boltdb":
		return fmt.Errorf("--raft-log-store %s: use wal or boltdb", r.logStore)
	case r.dataDir != "":
		return settings.CheckAddress(r.peerAddr)
	case r.into == "":
		return errors.New("--into: say below which URL the streams are to live, such as " + defaultStreamURL)
	case r.conflict != conflictFail && r.conflict != conflictSkip && r.conflict != conflictReplace:
		return fmt.Errorf("--on-conflict %s: use fail, skip or replace", r.conflict)
	}
	return nil
}

// cluster makes a data directory.
func (r *restoration) cluster(c *backup.Chain) error {
	m := c.Manifest()
	bar, written := r.bars.progress(-1, 0), int64(0)
	done, err := recovery.Restore(storage.Dir(r.dataDir), recovery.Restoration{
		Backup: m.ID, Index: m.Index, Term: m.Term, NodeID: r.nodeID, Address: r.peerAddr, LogKind: r.logStore,
		Fill: func(f *storage.Filler) error {
			return c.Walk(f.Last(), func(key, value []byte) error {
				written += int64(len(key) + len(value))
				bar.set(written)
				return f.Add(key, value)
			})
		},
	}, recovery.Options{Fatal: r.die})
	bar.end()
	if err != nil {
		return err
	}
	return r.say(done, "%s holds backup %s as node %s of the new cluster %s: %s", r.dataDir, m.ID, done.NodeID, done.ClusterID, done.What)
}

// die ends the process where a disk has failed.
func (r *restoration) die(err error) {
	fmt.Fprintf(r.bars.notes, "mainstem: restore into %s: %v\n", r.dataDir, err)
	os.Exit(1)
}

// some appends what single streams hold to new ones.
func (r *restoration) some(ctx context.Context, c *backup.Chain) error {
	to, err := client.New(client.Config{Base: r.into, Auth: r.auth})
	if err != nil {
		return phase.Load.In(fmt.Errorf("--into: %w", err))
	}
	var patterns []stream.Pattern
	for _, s := range r.streams {
		p, err := stream.ParsePattern(s)
		if err != nil {
			return phase.Load.In(fmt.Errorf("--streams %s: %w", s, err))
		}
		patterns = append(patterns, p)
	}
	match := func(name stream.Name) bool {
		for _, p := range patterns {
			if p.Match(name) {
				return true
			}
		}
		return false
	}
	var sum struct {
		Restored []string `json:"restored"`
		Skipped  []string `json:"skipped"`
	}
	bar, written := r.bars.progress(-1, 0), int64(0)
	err = c.Streams(match, func(s backup.Stream) error {
		name := r.prefix + string(s.Name)
		ok, err := r.stream(ctx, c, to, s, name, func(n int) { written += int64(n); bar.set(written) })
		switch {
		case err != nil:
			return fmt.Errorf("restore %s: %w", name, err)
		case ok:
			sum.Restored = append(sum.Restored, name)
		default:
			sum.Skipped = append(sum.Skipped, name)
		}
		return nil
	})
	bar.end()
	if err != nil {
		return err
	}
	if len(sum.Restored)+len(sum.Skipped) == 0 {
		return fmt.Errorf("backup %s has no stream that matches %q", c.Manifest().ID, r.streams)
	}
	return r.say(sum, "restored %d streams, skipped %d, %d bytes", len(sum.Restored), len(sum.Skipped), written)
}

// stream restores one stream; ok is false for one that was skipped.
func (r *restoration) stream(ctx context.Context, c *backup.Chain, to *client.Client, s backup.Stream, name string, wrote func(int)) (ok bool, err error) {
	if s.State.Lifetime.ExpiresAtText() != "" && s.State.Deadline > 0 && int64(s.State.Deadline) <= time.Now().UnixMilli() {
		r.note(name + " had expired; it is skipped")
		return false, nil
	}
	like, err := creationOf(s)
	if err != nil {
		return false, err
	}
	if free, err := r.makeWay(ctx, to, name); err != nil || !free {
		return false, err
	}
	if _, _, err := to.Create(ctx, name, like); err != nil {
		return false, err
	}
	// A producer, so that what is sent again after an error is written once.
	producer := client.Producer{ID: "restore-" + c.Manifest().ID}
	take, finish := backup.Batches(restoreBatchBytes, func(data []byte) error {
		body := data
		if s.State.ContentType.JSON() { // each message is followed by a comma
			body = append(append([]byte{'['}, bytes.TrimSuffix(data, []byte{','})...), ']')
		}
		p := producer
		_, _, err := to.Append(ctx, name, client.Append{ContentType: like.ContentType, Body: body, Producer: &p})
		producer.Seq++
		wrote(len(data))
		return err
	})
	if err := errors.Join(c.Read(s, take), finish()); err != nil {
		return false, err
	}
	if s.State.Closed {
		_, _, err = to.Append(ctx, name, client.Append{Close: true})
	}
	return err == nil, err
}

// creationOf is the request that makes a stream like one of the backup.
func creationOf(s backup.Stream) (c client.Creation, err error) {
	c.ContentType = string(s.State.ContentType)
	if window, ok := s.State.Lifetime.TTL(); ok {
		c.TTL = window
	}
	c.RetentionBytes = int64(s.State.Retention.Bytes)
	c.RetentionAge = time.Duration(s.State.Retention.Age) * time.Second
	if text := s.State.Lifetime.ExpiresAtText(); text != "" {
		c.ExpiresAt, err = time.Parse(time.RFC3339, text)
	}
	return c, err
}

// makeWay makes sure that there is no stream of a name; free is false where one is
// to be left alone.
func (r *restoration) makeWay(ctx context.Context, to *client.Client, name string) (free bool, err error) {
	_, err = to.Head(ctx, name)
	var p *client.Problem
	switch {
	case errors.As(err, &p) && p.Status == 404:
		return true, nil
	case err != nil:
		return false, err
	case r.conflict == conflictSkip:
		return false, nil
	case r.conflict == conflictReplace:
		return true, to.Delete(ctx, name)
	}
	return false, errors.New("it is there already; restore it under another name with --prefix, or see --on-conflict")
}
