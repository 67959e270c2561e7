package recovery

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"mainstem/cluster"
	"mainstem/storage"
)

// hooks are how a test interrupts a change. step is called after each step and
// may end the change there.
type hooks struct {
	step func(name string) error
}

func (h hooks) after(name string) error {
	if h.step == nil {
		return nil
	}
	return h.step(name)
}

// carryOut takes the steps of a journal that is on disk. All of them can be
// taken again.
func carryOut(dir storage.Dir, j storage.Journal, fatal func(error), h hooks) error {
	if j.Lead != nil {
		if err := lead(dir, j, fatal, h); err != nil {
			return fmt.Errorf("make node %q the only voter: %w", j.Identity.NodeID, err)
		}
	} else {
		if err := storage.Quarantine(vfs.Default, dir, j); err != nil {
			return err
		}
		if err := h.after("quarantine"); err != nil {
			return err
		}
	}
	return storage.Finish(vfs.Default, dir, j)
}

// lead puts an entry behind all that the node holds: the configuration in which
// it is the only voter, of a term that nobody has seen. Raft takes the last
// configuration of a log whether it was committed or not, so at the next start
// the node elects itself and commits its whole log.
func lead(dir storage.Dir, j storage.Journal, fatal func(error), h hooks) (err error) {
	stable, err := storage.OpenStable(storage.StableConfig{Path: dir.Stable(), MustExist: j.Restores == "", Fatal: fatal})
	if err != nil {
		return err
	}
	defer closing(stable, &err)
	if term, _ := stable.GetUint64([]byte("CurrentTerm")); term < j.Lead.Term {
		if err := stable.SetUint64([]byte("CurrentTerm"), j.Lead.Term); err != nil {
			return err
		}
	}
	if err := h.after("term"); err != nil {
		return err
	}
	log, err := storage.OpenLog(storage.LogConfig{Dir: dir.Log(), Kind: j.Lead.LogKind, Fatal: fatal})
	if err != nil {
		return err
	}
	defer closing(log, &err)
	if err := makeRoom(dir, log, j, fatal, h); err != nil {
		return err
	}
	if err := storeConfiguration(log, j); err != nil {
		return err
	}
	return h.after("entry")
}

func configuration(j storage.Journal) raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: raft.ServerID(j.Identity.NodeID), Address: raft.ServerAddress(j.Lead.Address),
	}}}
}

// makeRoom lets the entry follow on the log. A log that ends before the newest
// snapshot begins anew after it; so does one that ends before the copy, which is
// then made a snapshot: the checkpoint that it came from was ahead of the log.
func makeRoom(dir storage.Dir, log *storage.Log, j storage.Journal, fatal func(error), h hooks) error {
	last, err := log.LastIndex()
	if err != nil {
		return fmt.Errorf("look at the raft log: %w", err)
	}
	before := j.Lead.Index - 1
	if last >= before {
		return nil
	}
	snapshots, err := storage.OpenSnapshots(storage.SnapshotsConfig{Dir: dir.Snapshots()})
	if err != nil {
		return err
	}
	list, err := snapshots.List()
	if err != nil {
		return fmt.Errorf("list snapshots: %w", err)
	}
	if len(list) == 0 || list[0].Index < before {
		if err := snapshotCopy(dir, snapshots, j, before, fatal); err != nil {
			return fmt.Errorf("make a snapshot of the copy: %w", err)
		}
	}
	if err := h.after("snapshot"); err != nil {
		return err
	}
	if last == 0 {
		return nil
	}
	first, err := log.FirstIndex()
	if err != nil {
		return fmt.Errorf("look at the raft log: %w", err)
	}
	return log.DeleteRange(first, last)
}

func snapshotCopy(dir storage.Dir, snapshots *storage.Snapshots, j storage.Journal, index uint64, fatal func(error)) (err error) {
	engine, err := storage.Open(storage.Config{Dir: dir.Copy(), Fatal: fatal})
	if err != nil {
		return err
	}
	defer closing(engine, &err)
	g := engine.Globals()
	if g.Applied != index {
		return fmt.Errorf("the copy has applied entry %d and %d was expected", g.Applied, index)
	}
	sink, err := snapshots.Create(raft.SnapshotVersionMax, index, g.Term, configuration(j), index, nil)
	if err != nil {
		return err
	}
	if err := sink.(*storage.SnapshotSink).Adopt(engine.Checkpoint); err != nil {
		closing(cancelled{sink}, &err)
		return err
	}
	return sink.Close()
}

// cancelled closes a sink that is given up.
type cancelled struct{ raft.SnapshotSink }

func (c cancelled) Close() error { return c.Cancel() }

// storeConfiguration appends the entry, unless it is there.
func storeConfiguration(log *storage.Log, j storage.Journal) error {
	last, err := log.LastIndex()
	if err != nil {
		return fmt.Errorf("look at the raft log: %w", err)
	}
	entry := raft.Log{Index: j.Lead.Index, Term: j.Lead.Term, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(configuration(j))}
	switch last {
	case j.Lead.Index:
		var found raft.Log
		if err := log.GetLog(last, &found); err != nil {
			return err
		}
		if found.Term != entry.Term || found.Type != entry.Type {
			return fmt.Errorf("entry %d of the raft log is of term %d and was not written by this recovery", last, found.Term)
		}
		return nil
	case j.Lead.Index - 1, 0:
		return log.StoreLog(&entry)
	}
	return fmt.Errorf("the raft log ends at entry %d and was to end at %d; it has changed since the recovery was begun", last, j.Lead.Index-1)
}

// sameCluster reports that a directory is of the cluster of a plan, before or
// after its recovery.
func sameCluster(own string, p Plan) bool {
	return own == p.ClusterID || own == p.NewCluster || cluster.Supersedes(p.NewCluster, own)
}
