package recovery

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/cluster"
	"mainstem/storage"
)

// Named says who a directory belongs to, where its identity was lost.
type Named struct{ NodeID, ClusterID string }

// RefillPlan is what Refill is going to do to a directory.
type RefillPlan struct {
	Facts    Facts
	Findings []string
	journal  storage.Journal
	begun    bool
}

// PlanRefill looks at a directory, whose lock the caller holds, and says what a
// refill would do. It refuses what would lose the only data there is, or move
// data aside that is whole.
func PlanRefill(dir storage.Dir, lost Named, o Options) (r RefillPlan, err error) {
	begun, err := storage.Begun(vfs.Default, dir)
	if err != nil {
		return r, err
	}
	if begun != nil {
		if begun.Lead != nil {
			return r, fmt.Errorf("%s: mainstem recover apply was begun here and keeps this node's data; complete it first", dir)
		}
		return RefillPlan{journal: *begun, begun: true, Findings: []string{"a refill was begun here and not finished; it goes on"}}, nil
	}
	if r.Facts, err = look(dir, o.Progress); err != nil {
		return r, err
	}
	r.Findings = findings(r.Facts)
	if err := r.refuse(dir, o); err != nil {
		return r, err
	}
	id, err := r.identity(dir, lost)
	if err != nil {
		return r, err
	}
	r.journal = storage.Journal{Identity: id, Quarantine: o.Quarantine}
	return r, nil
}

// Into is the name of the directory that the old data goes into.
func (r RefillPlan) Into() string { return r.journal.Quarantine }

func findings(f Facts) (list []string) {
	for _, d := range f.Damage {
		list = append(list, fmt.Sprintf("damaged %s: %s", d.Part, d.What))
	}
	if f.SupersededBy != "" {
		list = append(list, fmt.Sprintf("its data is from before a recovery: the cluster goes on as %s", f.SupersededBy))
	}
	if f.RemovedFrom != "" {
		list = append(list, fmt.Sprintf("it was removed from cluster %s", f.RemovedFrom))
	}
	return list
}

func (r RefillPlan) refuse(dir storage.Dir, o Options) error {
	f := r.Facts
	if len(r.Findings) == 0 && !o.Force {
		return fmt.Errorf("%s: all of it was read and nothing is damaged; nothing was changed. --force refills it nevertheless", dir)
	}
	voters, self := 0, false
	for _, m := range f.Members {
		if m.Voter {
			voters++
			self = self || m.NodeID == f.NodeID
		}
	}
	if voters == 1 && self && f.SupersededBy == "" && !o.Force {
		return fmt.Errorf("%s: node %q is the only voter of its cluster, so there is nobody to refill it from; restore a backup, or keep the directory for somebody who can read what is left. --force sets its data aside nevertheless", dir, f.NodeID)
	}
	return nil
}

// identity is that of the node without data: the same node, of the same cluster,
// with a directory that has never voted.
func (r RefillPlan) identity(dir storage.Dir, lost Named) (id storage.Identity, err error) {
	f := r.Facts
	id = storage.Identity{NodeID: f.NodeID, ClusterID: f.ClusterID, DirectoryID: rand.Text()}
	damaged := slices.ContainsFunc(f.Damage, func(d storage.Finding) bool { return d.Part == storage.PartIdentity })
	if f.NodeID == "" || damaged {
		if lost.NodeID == "" || lost.ClusterID == "" {
			return id, fmt.Errorf("%s: who this directory belongs to cannot be read; say it with --node-id and --cluster-id (mainstem cluster status --url ANOTHER-NODE shows both)", dir)
		}
		id.NodeID, id.ClusterID = lost.NodeID, lost.ClusterID
		return id, nil
	}
	if lost.NodeID != "" && lost.NodeID != id.NodeID || lost.ClusterID != "" && lost.ClusterID != id.ClusterID && !cluster.Supersedes(lost.ClusterID, id.ClusterID) {
		return id, fmt.Errorf("%s belongs to node %q of cluster %s; leave out --node-id and --cluster-id, or name another directory", dir, id.NodeID, id.ClusterID)
	}
	if lost.ClusterID != "" {
		id.ClusterID = lost.ClusterID
	}
	if cluster.Supersedes(f.SupersededBy, id.ClusterID) {
		id.ClusterID = f.SupersededBy
	}
	if id.ClusterID == "" {
		return id, errors.New("this node never became a member of a cluster; empty its directory and start it again")
	}
	return id, nil
}

// Refill sets the data of a node aside. The caller holds the lock from before
// PlanRefill on.
func (r RefillPlan) Refill(dir storage.Dir, o Options) (Done, error) {
	if !r.begun {
		if err := storage.Begin(vfs.Default, dir, r.journal); err != nil {
			return Done{}, err
		}
		if err := o.hooks.after("journal"); err != nil {
			return Done{}, err
		}
	}
	if err := carryOut(dir, r.journal, o.Fatal, o.hooks); err != nil {
		return Done{}, fmt.Errorf("%s: %w; run the same command again, it goes on where it ended", dir, err)
	}
	return Done{
		NodeID: r.journal.Identity.NodeID, ClusterID: r.journal.Identity.ClusterID,
		What: fmt.Sprintf("its data was moved into %s; started with --join it comes back as a learner and is refilled", r.journal.Quarantine),
	}, nil
}
