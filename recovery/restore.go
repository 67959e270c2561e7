package recovery

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/storage"
)

// skippedIncarnations are left out after a restore. Offsets that the old cluster
// gave out for streams that it made after the backup must not fit streams that the
// new one makes.
const skippedIncarnations = 1 << 20

// Restoration is a new cluster made of a backup, with one node.
type Restoration struct {
	Backup  string // its id
	Index   uint64 // of the last entry of the log in it
	Term    uint64 // of that entry
	NodeID  string
	Address string // of the node for its peers
	LogKind string // of raft's log, as storage.LogConfig
	// Fill adds all pairs of the backup that come after f.Last.
	Fill func(f *storage.Filler) error
}

// Restore makes the data directory of the first node of a new cluster, whose
// copy is what a backup holds. The directory is empty, or one in which the same
// restore was interrupted.
func Restore(dir storage.Dir, r Restoration, o Options) (done Done, err error) {
	lock, err := storage.LockDir(dir)
	if err != nil {
		return done, err
	}
	defer closing(lock, &err)
	j, err := r.journal(dir)
	if err != nil {
		return done, err
	}
	if err := o.hooks.after("journal"); err != nil {
		return done, err
	}
	if err := r.fill(dir, o); err != nil {
		return done, fmt.Errorf("restore into %s: %w; run the same command again, it goes on where it ended", dir, err)
	}
	if err := o.hooks.after("filled"); err != nil {
		return done, err
	}
	if err := carryOut(dir, j, o.Fatal, o.hooks); err != nil {
		return done, fmt.Errorf("restore into %s: %w; run the same command again, it goes on where it ended", dir, err)
	}
	return Done{NodeID: j.Identity.NodeID, ClusterID: j.Identity.ClusterID,
		What: "it is the only voter of a new cluster, and holds what the backup held; start it, and others with --join naming it"}, nil
}

// journal returns the change to make, which is then on disk.
func (r Restoration) journal(dir storage.Dir) (j storage.Journal, err error) {
	begun, err := storage.Begun(vfs.Default, dir)
	if err != nil {
		return j, err
	}
	if begun != nil {
		switch {
		case begun.Restores == "":
			return j, fmt.Errorf("%s: mainstem recover was begun here; complete that first, or restore into another directory", dir)
		case begun.Restores != r.Backup || begun.Identity.NodeID != r.NodeID:
			return j, fmt.Errorf("%s: a restore of backup %s for node %q was begun here; complete that one, or empty the directory", dir, begun.Restores, begun.Identity.NodeID)
		}
		return *begun, nil
	}
	id, known, err := storage.LoadIdentity(vfs.Default, dir)
	if known || errors.Is(err, storage.ErrCorrupt) {
		return j, fmt.Errorf("%s is in use: it holds the data of node %q of cluster %q; restore into an empty directory", dir, id.NodeID, id.ClusterID)
	}
	if err != nil {
		return j, err
	}
	j = storage.Journal{
		Identity: storage.Identity{NodeID: r.NodeID, ClusterID: rand.Text(), DirectoryID: rand.Text()},
		Lead:     &storage.Leadership{LogKind: r.LogKind, Index: r.Index + 1, Term: r.Term + 1, Address: r.Address},
		Restores: r.Backup,
	}
	return j, storage.Begin(vfs.Default, dir, j)
}

func (r Restoration) fill(dir storage.Dir, o Options) (err error) {
	f, err := storage.OpenFiller(storage.Config{Dir: dir.Copy(), Fatal: o.Fatal}, skippedIncarnations)
	if err != nil {
		return err
	}
	defer closing(f, &err)
	if err := r.Fill(f); err != nil {
		return err
	}
	g, err := f.Finish()
	if err == nil && (g.Applied != r.Index || g.Term != r.Term) {
		err = fmt.Errorf("the backup says that it ends at entry %d of term %d, and its content at %d of %d", r.Index, r.Term, g.Applied, g.Term)
	}
	return err
}
