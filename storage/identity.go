package storage

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Identity is who a data directory belongs to.
type Identity struct {
	NodeID      string `json:"node_id"`
	ClusterID   string `json:"cluster_id"`   // "" before the node has joined one
	DirectoryID string `json:"directory_id"` // random, tells a wiped directory from the old one
}

// LoadIdentity reads node.json; ok is false in a fresh directory. Where there is
// data but no node.json the file was lost, and the data is nobody's. A directory
// whose recovery is not finished is refused.
func LoadIdentity(fs vfs.FS, dir Dir) (id Identity, ok bool, err error) {
	if err := checkFinished(fs, dir); err != nil {
		return id, false, err
	}
	return loadIdentity(fs, dir)
}

func loadIdentity(fs vfs.FS, dir Dir) (id Identity, ok bool, err error) {
	err = readSealed(fs, dir.identity(), &id)
	if oserror.IsNotExist(err) {
		for _, path := range [...]string{dir.Stable(), dir.Log(), dir.Copy(), dir.Snapshots()} {
			found, err := exists(fs, path)
			if err != nil {
				return id, false, fmt.Errorf("look for %s: %w", path, err)
			}
			if found {
				return id, false, corrupt(dir.identity(), "it is missing beside %s", path)
			}
		}
		return id, false, nil
	}
	if err != nil {
		return id, false, fmt.Errorf("read node identity: %w", err)
	}
	if err := id.validate(); err != nil {
		return id, false, corrupt(dir.identity(), "%v", err)
	}
	return id, true, nil
}

// SaveIdentity writes node.json in one durable step. Call it before any store is
// made in the directory.
func SaveIdentity(fs vfs.FS, dir Dir, id Identity) error {
	if err := id.validate(); err != nil {
		return fmt.Errorf("save node identity: %w", err)
	}
	if err := makeDir(fs, string(dir)); err != nil {
		return fmt.Errorf("save node identity: %w", err)
	}
	if err := writeSealed(fs, dir.identity(), id); err != nil {
		return fmt.Errorf("save node identity: %w", err)
	}
	return nil
}

// ClaimIdentity makes the identity of a fresh directory, before anything else is
// made in it, and refuses the directory of another node.
func ClaimIdentity(fs vfs.FS, dir Dir, nodeID string) error {
	id, known, err := LoadIdentity(fs, dir)
	if err != nil {
		return err
	}
	if known {
		return id.CheckNodeID(nodeID)
	}
	return SaveIdentity(fs, dir, Identity{NodeID: nodeID, DirectoryID: rand.Text()})
}

func (id Identity) validate() error {
	switch {
	case id.NodeID == "":
		return errors.New("the node id is empty")
	case id.DirectoryID == "":
		return errors.New("the directory id is empty")
	}
	return nil
}

// CheckNodeID refuses a start under another name: the cluster knows this
// directory's log and vote by the name that it has.
func (id Identity) CheckNodeID(nodeID string) error {
	if id.NodeID == nodeID {
		return nil
	}
	return fmt.Errorf("this data directory belongs to node %q and the node was started as %q; set --node-id %s, or use another --data-dir", id.NodeID, nodeID, id.NodeID)
}
