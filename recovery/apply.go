package recovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/storage"
)

// Options are for Apply and Refill.
type Options struct {
	Quarantine string      // the name of the directory to move old data into
	Force      bool        // do what is advised against
	Progress   Progress    // may be nil
	Fatal      func(error) // as in storage.Config

	// Alive asks who answers at a peer address: "" for nobody. nil: nobody is asked.
	Alive func(ctx context.Context, addr string) (clusterID string)

	hooks hooks
}

// Done is what was done to a directory.
type Done struct {
	NodeID    string
	ClusterID string // that the directory is of now
	What      string // a sentence
}

// Applicable returns why a plan is not to be applied.
func (p Plan) Applicable(force bool) error {
	switch {
	case p.Format != planFormat:
		return fmt.Errorf("the plan has format %d and this version reads %d; make it anew", p.Format, planFormat)
	case p.Problem != "":
		return errors.New(p.Problem)
	case p.Base == "" || p.NewCluster == "":
		return errors.New("the plan names no base; make one with mainstem recover plan --json")
	case p.NoNeed != "" && !force:
		return fmt.Errorf("%s; nothing was changed. --force makes a new cluster nevertheless", p.NoNeed)
	}
	return nil
}

// Apply changes one directory as the plan says. It may be repeated: a change
// that was interrupted is completed, one that was made is left alone.
func (p Plan) Apply(ctx context.Context, dir storage.Dir, o Options) (done Done, err error) {
	if err := p.Applicable(o.Force); err != nil {
		return done, err
	}
	lock, err := storage.LockDir(dir)
	if err != nil {
		return done, err
	}
	defer closing(lock, &err)
	found, err := look(dir, o.Progress)
	if err != nil {
		return done, err
	}
	j, finished, err := p.journal(ctx, dir, found, o)
	if err != nil {
		return done, fmt.Errorf("%s: %w", dir, err)
	}
	done = Done{NodeID: j.Identity.NodeID, ClusterID: p.NewCluster}
	if finished {
		done.What = "it is of the new cluster already; nothing was changed"
		return done, nil
	}
	if err := o.hooks.after("journal"); err != nil {
		return done, err
	}
	if err := carryOut(dir, j, o.Fatal, o.hooks); err != nil {
		return done, fmt.Errorf("%s: %w; run the same command again, it goes on where it ended", dir, err)
	}
	done.What = fmt.Sprintf("its data is kept; it is the only voter of cluster %s", p.NewCluster)
	if j.Lead == nil {
		done.What = fmt.Sprintf("its data was moved into %s; started with --join it comes back as a learner and is refilled", j.Quarantine)
	}
	return done, nil
}

// journal returns the change to make, which is then on disk. finished says that
// it was made before.
func (p Plan) journal(ctx context.Context, dir storage.Dir, found Facts, o Options) (j storage.Journal, finished bool, err error) {
	begun, err := storage.Begun(vfs.Default, dir)
	switch {
	case err != nil:
		return j, false, err
	case begun != nil && begun.Identity.ClusterID != p.NewCluster:
		return j, false, fmt.Errorf("another recovery, towards cluster %s, was begun here; complete that one with its own plan", begun.Identity.ClusterID)
	case begun != nil:
		return *begun, false, nil
	case found.NodeID != "" && found.ClusterID == p.NewCluster:
		return storage.Journal{Identity: storage.Identity{NodeID: found.NodeID}}, true, nil
	}
	if err := p.unchanged(found); err != nil {
		return j, false, err
	}
	if err := p.lostIndeed(ctx, found.NodeID, o); err != nil {
		return j, false, err
	}
	j.Identity = storage.Identity{NodeID: found.NodeID, ClusterID: p.NewCluster, DirectoryID: found.DirectoryID}
	if found.NodeID == p.Base {
		j.Lead = &storage.Leadership{
			LogKind: found.LogKind, Index: found.end().Index + 1, Term: max(found.Term, found.end().Term) + 1, Address: addressIn(found),
		}
	} else {
		j.Quarantine, j.Identity.DirectoryID = o.Quarantine, rand.Text()
	}
	return j, false, storage.Begin(vfs.Default, dir, j)
}

// unchanged refuses a directory that is not what the plan was made of.
func (p Plan) unchanged(found Facts) error {
	planned, known := p.facts(found.NodeID)
	switch {
	case !known:
		return fmt.Errorf("node %q is not in the plan; make a plan with this directory in it, or refill it", found.NodeID)
	case found.ClusterID != p.ClusterID:
		return fmt.Errorf("it is of cluster %s and the plan of cluster %s", found.ClusterID, p.ClusterID)
	case found.DirectoryID != planned.DirectoryID, found.end() != planned.end(), found.Term != planned.Term:
		return fmt.Errorf("node %q has changed since the plan was made: its log ended at entry %d of term %d, its term was %d; now %d, %d, %d. Keep the nodes stopped and make the plan anew",
			found.NodeID, planned.end().Index, planned.end().Term, planned.Term, found.end().Index, found.end().Term, found.Term)
	case found.NodeID == p.Base && !found.sound():
		return fmt.Errorf("node %q is the base of the plan and its directory was found damaged; make the plan anew", found.NodeID)
	}
	return nil
}

// lostIndeed refuses to make a second cluster beside members that still run.
func (p Plan) lostIndeed(ctx context.Context, self string, o Options) error {
	if o.Alive == nil || o.Force {
		return nil
	}
	var alive []string
	for _, m := range p.Voters {
		if m.NodeID == self {
			continue
		}
		if of := o.Alive(ctx, m.PeerAddr); of != "" && of != p.NewCluster {
			alive = append(alive, fmt.Sprintf("%s at %s", m.NodeID, m.PeerAddr))
		}
	}
	if len(alive) == 0 {
		return nil
	}
	return fmt.Errorf("%s of the old cluster still answers; stop it for good, or leave the cluster as it is. --force goes on nevertheless, and there may be two clusters then", strings.Join(alive, ", "))
}

// addressIn is a node's own address in the configuration it knows. It is put
// right at the next start if it has changed.
func addressIn(f Facts) string {
	for _, m := range f.Members {
		if m.NodeID == f.NodeID {
			return m.PeerAddr
		}
	}
	return "127.0.0.1:4438"
}

// BaseFirst orders directories: the node whose data is kept goes first, so that
// nothing is set aside before it can lead.
func (p Plan) BaseFirst(dirs []storage.Dir) ([]storage.Dir, error) {
	var first, rest []storage.Dir
	for _, dir := range dirs {
		begun, err := storage.Begun(vfs.Default, dir)
		if err != nil {
			return nil, err
		}
		var id storage.Identity
		if begun != nil {
			id = begun.Identity
		} else if id, _, err = storage.LoadIdentity(vfs.Default, dir); err != nil && !errors.Is(err, storage.ErrCorrupt) {
			return nil, err
		}
		if id.NodeID == p.Base {
			first = append(first, dir)
		} else {
			rest = append(rest, dir)
		}
	}
	return append(first, rest...), nil
}
