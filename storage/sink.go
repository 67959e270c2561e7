package storage

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"
)

// SnapshotSink takes a new snapshot: by Adopt on the node that makes it, by
// Write, as an archive, on a node that is sent it. Close publishes it, Cancel
// drops it; one of them must be called. It is for one goroutine, but Cancel may
// come from another.
type SnapshotSink struct {
	store *Snapshots
	meta  raft.SnapshotMeta
	dir   string
	begun time.Time

	mu      sync.Mutex // guards the rest
	state   sinkState
	archive *io.PipeWriter // to the goroutine that unpacks, nil before the first Write
	unpack  errgroup.Group
}

type sinkState uint8

const (
	sinkEmpty sinkState = iota
	sinkAdopted
	sinkWritten
	sinkDone
)

var errSinkUsed = errors.New("the snapshot has its content already")

// Create begins a snapshot. Nothing is listed before the sink is closed.
func (s *Snapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if version != raft.SnapshotVersionMax {
		return nil, fmt.Errorf("create snapshot: version %d is unknown to this version of mainstem", version)
	}
	s.mu.Lock()
	s.sequence++
	id := snapshotID(term, index, s.sequence)
	s.mu.Unlock()
	dir := s.cfg.FS.PathJoin(s.cfg.Dir, id)
	if err := makeDir(s.cfg.FS, dir); err != nil {
		return nil, fmt.Errorf("create snapshot %s: %w", id, err)
	}
	return &SnapshotSink{store: s, dir: dir, begun: time.Now(), meta: raft.SnapshotMeta{
		Version: version, ID: id, Index: index, Term: term,
		Configuration: configuration, ConfigurationIndex: configurationIndex,
	}}, nil
}

// ID names the snapshot.
func (k *SnapshotSink) ID() string { return k.meta.ID }

// Adopt lets fill make the checkpoint, in dir, which does not exist yet, with
// all of it synced: Engine.Checkpoint does so.
func (k *SnapshotSink) Adopt(fill func(dir string) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state != sinkEmpty {
		return fmt.Errorf("adopt snapshot %s: %w", k.meta.ID, errSinkUsed)
	}
	if err := fill(k.store.copyDir(k.meta.ID)); err != nil {
		return fmt.Errorf("adopt snapshot %s: %w", k.meta.ID, err)
	}
	k.state = sinkAdopted
	return nil
}

// Write takes the next bytes of an archive, which is unpacked as it comes.
func (k *SnapshotSink) Write(p []byte) (int, error) {
	w, err := k.writer()
	if err != nil {
		return 0, fmt.Errorf("write snapshot %s: %w", k.meta.ID, err)
	}
	return w.Write(p) // not under mu: Cancel must be able to end it
}

func (k *SnapshotSink) writer() (*io.PipeWriter, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch k.state {
	case sinkWritten:
		return k.archive, nil
	case sinkAdopted, sinkDone:
		return nil, errSinkUsed
	}
	fs, dir := k.store.cfg.FS, k.store.copyDir(k.meta.ID)
	if err := makeDir(fs, dir); err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	k.unpack.Go(func() error {
		err := unarchive(fs, dir, r)
		r.CloseWithError(err) // so that Write fails too
		return err
	})
	k.archive, k.state = w, sinkWritten
	return w, nil
}

// Close publishes the snapshot: its files are synced before its meta file, that
// one before it is listed. When it fails nothing is left.
func (k *SnapshotSink) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state == sinkDone {
		return nil
	}
	snap, err := k.finish()
	k.state = sinkDone
	if err != nil {
		return errors.Join(fmt.Errorf("close snapshot %s: %w", k.meta.ID, err), k.store.cfg.FS.RemoveAll(k.dir))
	}
	k.store.publish(snap)
	k.store.cfg.Metrics.snapshot(k.begun, k.meta.Size)
	return nil
}

func (k *SnapshotSink) finish() (*snapshot, error) {
	switch k.state {
	case sinkEmpty:
		return nil, errors.New("it has no content")
	case sinkWritten:
		k.archive.Close()
		if err := k.unpack.Wait(); err != nil {
			return nil, err
		}
	}
	fs := k.store.cfg.FS
	files, size, err := listArchive(fs, k.store.copyDir(k.meta.ID))
	if err != nil {
		return nil, err
	}
	k.meta.Size = size
	if err := syncDir(fs, k.dir); err != nil {
		return nil, err
	}
	if err := writeSealed(fs, fs.PathJoin(k.dir, snapshotMetaFile), k.meta); err != nil {
		return nil, err
	}
	return &snapshot{meta: k.meta, files: files}, nil
}

var errCancelled = errors.New("the snapshot was cancelled")

// Cancel drops the snapshot. After Close it does nothing.
func (k *SnapshotSink) Cancel() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state == sinkDone {
		return nil
	}
	if k.state == sinkWritten {
		k.archive.CloseWithError(errCancelled)
		_ = k.unpack.Wait() // it failed, as it was told to
	}
	k.state = sinkDone
	if err := k.store.cfg.FS.RemoveAll(k.dir); err != nil {
		return fmt.Errorf("cancel snapshot %s: %w", k.meta.ID, err)
	}
	return nil
}
