package storage

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Journal is a change of a data directory that takes several steps. It is
// written before the first of them and removed after the last. While it is
// there a node does not start, and the same change, done again, completes it.
type Journal struct {
	Identity   Identity    `json:"identity"`             // that the directory will have
	Quarantine string      `json:"quarantine,omitempty"` // a name in the directory: all parts go there, and the node comes back without data
	Lead       *Leadership `json:"lead,omitempty"`       // or: the node keeps its data and is the cluster's only voter
	Restores   string      `json:"restores,omitempty"`   // with Lead: the backup that the data comes from
}

// Leadership is the entry that makes a node the only voter.
type Leadership struct {
	LogKind string `json:"log_kind"`
	Index   uint64 `json:"index"`
	Term    uint64 `json:"term"`
	Address string `json:"address"`
}

// ErrUnfinished is wrapped by the error about a directory with a Journal.
var ErrUnfinished = errors.New("a recovery of this data directory was begun and not finished")

func (j *Journal) validate() error {
	if j.Restores != "" && j.Lead == nil {
		return fmt.Errorf("it restores %s for nobody to lead", j.Restores)
	}
	if j.Lead == nil && (filepath.Base(j.Quarantine) != j.Quarantine || len(j.Quarantine) < 2) {
		return fmt.Errorf("its quarantine is %q", j.Quarantine)
	}
	return j.Identity.validate()
}

// loadJournal returns nil when there is none.
func loadJournal(fs vfs.FS, dir Dir) (*Journal, error) {
	var j Journal
	err := readSealed(fs, dir.journal(), &j)
	if oserror.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := j.validate(); err != nil {
		return nil, corrupt(dir.journal(), "%v", err)
	}
	return &j, nil
}

// Begun returns the change of a directory that was begun and not finished, nil
// for none.
func Begun(fs vfs.FS, dir Dir) (*Journal, error) {
	j, err := loadJournal(fs, dir)
	if err != nil {
		return nil, fmt.Errorf("read the journal of a recovery: %w", err)
	}
	return j, nil
}

func checkFinished(fs vfs.FS, dir Dir) error {
	j, err := loadJournal(fs, dir)
	if err != nil {
		return err
	}
	if j == nil {
		return nil
	}
	if j.Restores != "" {
		return fmt.Errorf("%s: %w: that of backup %s; run the same mainstem backup restore again, it goes on where it ended, or empty the directory", dir.journal(), ErrUnfinished, j.Restores)
	}
	return fmt.Errorf("%s: %w; run the same mainstem recover command again, it goes on where it ended", dir.journal(), ErrUnfinished)
}

// Begin records a change that is about to be made.
func Begin(fs vfs.FS, dir Dir, j Journal) error {
	if err := j.validate(); err != nil {
		return fmt.Errorf("begin recovery of %s: %w", dir, err)
	}
	if err := writeSealed(fs, dir.journal(), j); err != nil {
		return fmt.Errorf("begin recovery of %s: %w", dir, err)
	}
	return nil
}

// Finish gives the directory its identity and ends the change.
func Finish(fs vfs.FS, dir Dir, j Journal) error {
	if err := SaveIdentity(fs, dir, j.Identity); err != nil {
		return err
	}
	if err := fs.Remove(dir.journal()); err != nil {
		return fmt.Errorf("finish recovery of %s: %w", dir, err)
	}
	if err := syncDir(fs, string(dir)); err != nil {
		return fmt.Errorf("finish recovery of %s: %w", dir, err)
	}
	return nil
}

// Quarantine moves all parts of a node into the journal's quarantine. It may be
// repeated after a crash.
func Quarantine(fs vfs.FS, dir Dir, j Journal) error {
	into := fs.PathJoin(string(dir), j.Quarantine)
	if err := makeDir(fs, into); err != nil {
		return fmt.Errorf("make quarantine: %w", err)
	}
	for _, path := range dir.parts() {
		if err := moveInto(fs, into, path); err != nil {
			return fmt.Errorf("move %s into quarantine: %w", path, err)
		}
	}
	if err := errors.Join(syncDir(fs, into), syncDir(fs, string(dir))); err != nil {
		return fmt.Errorf("sync quarantine: %w", err)
	}
	return nil
}

// moveInto never writes over what is there: after a crash that may be the same,
// or what was made in between.
func moveInto(fs vfs.FS, into, path string) error {
	if found, err := exists(fs, path); err != nil || !found {
		return err
	}
	to := fs.PathJoin(into, fs.PathBase(path))
	for n := 1; ; n++ {
		taken, err := exists(fs, to)
		if err != nil {
			return err
		}
		if !taken {
			return fs.Rename(path, to)
		}
		to = fs.PathJoin(into, fmt.Sprintf("%s.%d", fs.PathBase(path), n))
	}
}

// parts are the files and directories that hold a node's data and identity.
func (d Dir) parts() []string {
	return []string{d.Log(), d.Copy(), d.Stable(), d.Snapshots(), d.marker(), d.identity()}
}
