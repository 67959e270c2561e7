package clustertest

import (
	"sync"

	"github.com/hashicorp/raft"

	"mainstem/cluster"
)

// Identity is a cluster.IdentityStore in memory.
type Identity struct {
	mu sync.Mutex // guards id
	id cluster.Identity
}

// Load implements cluster.IdentityStore.
func (i *Identity) Load() (cluster.Identity, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.id, nil
}

// Save implements cluster.IdentityStore.
func (i *Identity) Save(id cluster.Identity) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.id = id
	return nil
}

// NewStores makes stores in memory. They outlive the node that uses them, as a
// disk would.
func NewStores() cluster.Stores {
	store := raft.NewInmemStore()
	return cluster.Stores{
		Log: store, Stable: store,
		Snapshots: raft.NewInmemSnapshotStore(),
		Identity:  &Identity{},
	}
}
