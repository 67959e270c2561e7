package wiring

import (
	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/cluster"
	"mainstem/storage"
)

// IdentityFile is node.json as the cluster knows it.
type IdentityFile struct {
	FS  vfs.FS
	Dir storage.Dir
}

var _ cluster.IdentityStore = IdentityFile{}

// Load implements cluster.IdentityStore.
func (f IdentityFile) Load() (cluster.Identity, error) {
	id, _, err := storage.LoadIdentity(f.FS, f.Dir)
	return cluster.Identity(id), err
}

// Save implements cluster.IdentityStore.
func (f IdentityFile) Save(id cluster.Identity) error {
	return storage.SaveIdentity(f.FS, f.Dir, storage.Identity(id))
}
