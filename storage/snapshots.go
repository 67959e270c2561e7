package storage

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// SnapshotsConfig says where snapshots lie: on the file system of the copy, so
// that they can share its tables by hard links.
type SnapshotsConfig struct {
	Dir     string       // of the snapshots alone; made when absent
	FS      vfs.FS       // nil: the operating system's
	Log     *slog.Logger // nil: discarded
	Metrics *Metrics     // nil: not counted
	Fatal   func(error)  // as in Config
}

// Snapshots is a raft.SnapshotStore that keeps references: a snapshot is a
// checkpoint of the copy and a file about it.
//
//	<dir>/<id>/meta.json    written last: without it there is no snapshot
//	<dir>/<id>/copy/        the checkpoint
//
// The newest complete snapshot is kept, and older ones while somebody reads
// them.
type Snapshots struct {
	cfg SnapshotsConfig

	mu       sync.Mutex // guards the rest, and what is complete on disk
	complete []*snapshot
	sequence uint64 // of the last id that was given
}

// snapshot is a complete one.
type snapshot struct {
	meta    raft.SnapshotMeta
	files   []archiveFile
	readers int
}

const (
	snapshotMetaFile = "meta.json"
	snapshotCopyDir  = "copy"
)

// OpenSnapshots lists the snapshots in cfg.Dir and removes what a crash has left
// unfinished. A snapshot whose meta file or checkpoint is damaged is an error:
// the log before it is gone.
func OpenSnapshots(cfg SnapshotsConfig) (*Snapshots, error) {
	if cfg.Dir == "" {
		return nil, errors.New("storage: Dir of the snapshots is empty")
	}
	if cfg.FS == nil {
		cfg.FS = vfs.Default
	}
	cfg.FS, cfg.Log = StrictFS(cfg.FS, cfg.Fatal), orDiscard(cfg.Log)
	s := &Snapshots{cfg: cfg}
	if err := s.load(); err != nil {
		if errors.Is(err, ErrCorrupt) {
			cfg.Metrics.corruption(storeSnapshots)
		}
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	return s, nil
}

func (s *Snapshots) load() error {
	fs := s.cfg.FS
	if err := makeDir(fs, s.cfg.Dir); err != nil {
		return err
	}
	names, err := fs.List(s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		sequence, ok := parseSnapshotID(name)
		if !ok {
			continue
		}
		s.sequence = max(s.sequence, sequence)
		if err := s.loadOne(name); err != nil {
			return err
		}
	}
	slices.SortFunc(s.complete, newestFirst)
	s.reap()
	if len(s.complete) > 0 {
		s.cfg.Metrics.found(s.complete[0].meta.Size)
	}
	return nil
}

func (s *Snapshots) loadOne(id string) error {
	fs := s.cfg.FS
	path := fs.PathJoin(s.cfg.Dir, id, snapshotMetaFile)
	found, err := exists(fs, path)
	if err != nil {
		return err
	}
	if !found {
		s.cfg.Log.Info("unfinished snapshot removed", "id", id)
		return fs.RemoveAll(fs.PathJoin(s.cfg.Dir, id))
	}
	var meta raft.SnapshotMeta
	if err := readSealed(fs, path, &meta); err != nil {
		return err
	}
	files, size, err := listArchive(fs, s.copyDir(id))
	if err != nil {
		return corrupt(path, "%v", err)
	}
	if meta.ID != id || meta.Size != size {
		return corrupt(path, "it says id %q and %d bytes, and %d bytes are there", meta.ID, meta.Size, size)
	}
	s.complete = append(s.complete, &snapshot{meta: meta, files: files})
	return nil
}

// copyDir is where the checkpoint of a snapshot lies.
func (s *Snapshots) copyDir(id string) string {
	return s.cfg.FS.PathJoin(s.cfg.Dir, id, snapshotCopyDir)
}

// An id is term-index-sequence; the sequence keeps ids of one index apart.
func snapshotID(term, index, sequence uint64) string {
	return fmt.Sprintf("%d-%d-%d", term, index, sequence)
}

func parseSnapshotID(id string) (sequence uint64, ok bool) {
	parts := strings.Split(id, "-")
	if len(parts) != 3 {
		return 0, false
	}
	for _, part := range parts {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			return 0, false
		}
		sequence = n
	}
	return sequence, true
}

func newestFirst(a, b *snapshot) int {
	if a.meta.Index != b.meta.Index {
		return cmp.Compare(b.meta.Index, a.meta.Index)
	}
	if a.meta.Term != b.meta.Term {
		return cmp.Compare(b.meta.Term, a.meta.Term)
	}
	i, _ := parseSnapshotID(a.meta.ID)
	j, _ := parseSnapshotID(b.meta.ID)
	return cmp.Compare(j, i)
}

// List returns the complete snapshots, newest first.
func (s *Snapshots) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*raft.SnapshotMeta
	for _, snap := range s.complete {
		meta := snap.meta
		list = append(list, &meta)
	}
	return list, nil
}

// Open returns a snapshot as an archive of exactly meta.Size bytes. The
// checkpoint stays until the reader, a *SnapshotReader, is closed.
func (s *Snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, snap := range s.complete {
		if snap.meta.ID != id {
			continue
		}
		snap.readers++
		meta := snap.meta
		dir := s.copyDir(id)
		return &meta, &SnapshotReader{
			store: s, snap: snap, dir: dir,
			archive: newArchiver(s.cfg.FS, dir, snap.files),
		}, nil
	}
	return nil, nil, fmt.Errorf("open snapshot %s: there is none", id)
}

// publish lists a snapshot that is complete on disk.
func (s *Snapshots) publish(snap *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complete = append(s.complete, snap)
	slices.SortFunc(s.complete, newestFirst)
	s.reap()
}

// reap removes all but the newest and those that are read. The caller holds mu,
// or is alone. What cannot be removed costs space until the next start.
func (s *Snapshots) reap() {
	for i := len(s.complete) - 1; i > 0; i-- {
		snap := s.complete[i]
		if snap.readers > 0 {
			continue
		}
		if err := s.remove(snap.meta.ID); err != nil {
			s.cfg.Log.Warn("old snapshot not removed", "id", snap.meta.ID, "err", err)
		}
		s.complete = slices.Delete(s.complete, i, i+1)
	}
}

// remove takes the meta file away first, so that no crash leaves a snapshot with
// half of its files.
func (s *Snapshots) remove(id string) error {
	fs, dir := s.cfg.FS, s.cfg.FS.PathJoin(s.cfg.Dir, id)
	if err := fs.Remove(fs.PathJoin(dir, snapshotMetaFile)); err != nil {
		return err
	}
	if err := syncDir(fs, dir); err != nil {
		return err
	}
	return fs.RemoveAll(dir)
}

// SnapshotReader reads a snapshot as an archive.
type SnapshotReader struct {
	store   *Snapshots
	snap    *snapshot
	dir     string
	archive *archiver
	once    sync.Once
	err     error
}

// Checkpoint is the directory of the snapshot's files, for Engine.Replace. It
// stays until Close and must not be changed.
func (r *SnapshotReader) Checkpoint() (dir string) { return r.dir }

func (r *SnapshotReader) Read(p []byte) (int, error) { return r.archive.Read(p) }

// Close ends the hold on the snapshot. It is safe to call twice.
func (r *SnapshotReader) Close() error {
	r.once.Do(func() {
		r.err = r.archive.Close()
		r.store.mu.Lock()
		defer r.store.mu.Unlock()
		r.snap.readers--
		r.store.reap()
	})
	return r.err
}
