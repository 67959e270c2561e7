package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// The parts of a data directory, as Finding and InspectConfig.Progress name them.
const (
	PartIdentity  = "identity"
	PartStable    = "stable store"
	PartLog       = "raft log"
	PartCopy      = "copy"
	PartSnapshots = "snapshots"
	PartMarker    = "marker"
)

// Finding is something in a data directory that is not what was written.
type Finding struct {
	Part string `json:"part"`
	What string `json:"what"` // names the file
}

// Inspection is what the data directory of a stopped node holds.
type Inspection struct {
	Identity Identity
	Known    bool              // the identity was there and could be read
	Stable   map[string][]byte // raft's values and others', by key
	Log      LogInspection
	Snapshot *raft.SnapshotMeta // the newest, nil for none
	Copy     Globals
	Unfound  bool     // there is nothing of a node here
	Torn     string   // what a crash left unfinished, as it may; "" for nothing
	Recovery *Journal // that was begun and not finished, nil for none
	Damage   []Finding
	Checked  int64 // bytes
}

// InspectConfig says how to look.
type InspectConfig struct {
	// Progress is told, now and then, how many bytes of a part were read. nil: nobody.
	Progress func(part string, done, total int64)
}

// Inspect reads all that a node keeps, to the last byte, and writes nothing. The
// caller holds the lock. Damage is a finding; an error is what kept it from
// looking.
func Inspect(dir Dir, cfg InspectConfig) (Inspection, error) {
	if cfg.Progress == nil {
		cfg.Progress = func(string, int64, int64) {}
	}
	if _, err := os.Stat(string(dir)); err != nil {
		return Inspection{}, fmt.Errorf("look into data directory: %w", err)
	}
	i := &inspector{dir: dir, cfg: cfg, found: Inspection{Stable: map[string][]byte{}}}
	for _, part := range []struct {
		name string
		look func() error
	}{
		{PartIdentity, i.identity},
		{PartStable, i.stable},
		{PartLog, i.log},
		{PartCopy, i.copy},
		{PartSnapshots, i.snapshots},
		{PartMarker, i.marker},
	} {
		err := part.look()
		if errors.Is(err, ErrCorrupt) {
			i.damaged(part.name, err.Error())
			continue
		}
		if err != nil {
			return i.found, fmt.Errorf("inspect %s in %s: %w", part.name, dir, err)
		}
	}
	i.compare()
	return i.found, nil
}

type inspector struct {
	dir          Dir
	cfg          InspectConfig
	found        Inspection
	checkpointed uint64 // the last entry in the newest snapshot's checkpoint
}

func (i *inspector) damaged(part, what string) {
	i.found.Damage = append(i.found.Damage, Finding{Part: part, What: what})
}

// read notes progress within a part.
func (i *inspector) read(part string, n, done, total int64) {
	i.found.Checked += n
	i.cfg.Progress(part, min(done, total), total)
}

func (i *inspector) identity() error {
	journal, err := loadJournal(vfs.Default, i.dir)
	if err != nil {
		return err
	}
	i.found.Recovery = journal
	i.found.Identity, i.found.Known, err = loadIdentity(vfs.Default, i.dir)
	i.found.Unfound = err == nil && !i.found.Known
	return err
}

func (i *inspector) stable() (err error) {
	path := i.dir.Stable()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil // compare tells whether it ought to be there
	}
	s, err := openStableToRead(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.inner.Close()) }()
	for _, key := range s.keys {
		value, err := s.read([]byte(key))
		if err != nil {
			return err
		}
		i.found.Stable[key] = value
	}
	return nil
}

// marker reads what the node wrote about damage that it met while it ran.
func (i *inspector) marker() error { return CheckUndamaged(vfs.Default, i.dir) }

// compare looks for parts that are whole by themselves and miss each other.
func (i *inspector) compare() {
	f := &i.found
	if f.Unfound {
		return
	}
	end, term := f.Log.Last, f.Log.LastTerm
	if f.Snapshot != nil && f.Snapshot.Index >= end {
		end, term = f.Snapshot.Index, f.Snapshot.Term
	}
	for _, d := range f.Damage {
		if d.Part == PartLog || d.Part == PartStable || d.Part == PartCopy || d.Part == PartSnapshots {
			return // which is said already
		}
	}
	if known := bigEndian(f.Stable["CurrentTerm"]); known < term {
		i.damaged(PartStable, fmt.Sprintf("%s knows term %d and the log ends in term %d: it was lost, and the node's vote with it", i.dir.Stable(), known, term))
	}
	// A checkpoint may hold later entries than its snapshot's index.
	if f.Copy.Applied > max(end, i.checkpointed) {
		i.damaged(PartLog, fmt.Sprintf("%s ends at entry %d and the copy has applied %d", i.dir.Log(), end, f.Copy.Applied))
	}
	var covered uint64
	if f.Snapshot != nil {
		covered = f.Snapshot.Index
	}
	if f.Log.First > covered+1 {
		i.damaged(PartSnapshots, fmt.Sprintf("%s begins at entry %d and the newest snapshot in %s ends at %d: one was lost", i.dir.Log(), f.Log.First, i.dir.Snapshots(), covered))
	}
}

func bigEndian(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}
