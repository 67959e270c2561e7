package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

const boltLogFile = "log.db"

// boltLockTimeout bounds the wait for bolt's own lock on its file.
const boltLockTimeout = time.Second

// openBolt opens a bolt file. A new one is filled under another name first, so
// that a crash leaves none or a whole one.
func openBolt(path string, fill func(*raftboltdb.BoltStore) error) (*raftboltdb.BoltStore, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		err = createBolt(path, fill)
	}
	if err != nil {
		return nil, err
	}
	return reopenBolt(path, newBolt)
}

// openBoltToRead opens a file that must be there, and does not change it.
func openBoltToRead(path string) (*raftboltdb.BoltStore, error) {
	return reopenBolt(path, func(path string) (*raftboltdb.BoltStore, error) {
		return raftboltdb.New(raftboltdb.Options{
			Path:        path,
			BoltOptions: &bbolt.Options{Timeout: boltLockTimeout, ReadOnly: true},
		})
	})
}

// reopenBolt opens a file that was made before, after a look at its structure.
func reopenBolt(path string, open func(path string) (*raftboltdb.BoltStore, error)) (store *raftboltdb.BoltStore, err error) {
	if err := checkBolt(path); errors.Is(err, os.ErrNotExist) {
		return nil, corrupt(path, "it is missing")
	} else if err != nil {
		return nil, err
	}
	err = guarded(path, func() error {
		store, err = open(path)
		return err
	})
	var system syscall.Errno
	switch {
	case err == nil:
		return store, nil
	case errors.Is(err, ErrCorrupt), errors.Is(err, bbolt.ErrTimeout), errors.As(err, &system):
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return nil, corrupt(path, "%v", err) // bolt's own words for a file that makes no sense
}

func newBolt(path string) (*raftboltdb.BoltStore, error) {
	return raftboltdb.New(raftboltdb.Options{
		Path:        path,
		BoltOptions: &bbolt.Options{Timeout: boltLockTimeout},
	})
}

func createBolt(path string, fill func(*raftboltdb.BoltStore) error) error {
	temp := path + tempSuffix
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	store, err := newBolt(temp)
	if err != nil {
		return fmt.Errorf("create %s: %w", temp, err)
	}
	if err := errors.Join(fill(store), store.Close()); err != nil {
		return fmt.Errorf("create %s: %w", temp, err)
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(vfs.Default, filepath.Dir(path))
}

// guarded turns what bolt does on a page that was damaged after checkBolt, a
// panic or a fault in its mapped file, into an error.
func guarded(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = corrupt(path, "%v", r)
		}
	}()
	return fn()
}

// boltLog puts our records into raft-boltdb: its entry is an index and a record.
type boltLog struct {
	*raftboltdb.BoltStore
	path    string
	codec   *recordCodec
	metrics *Metrics
}

func openBoltLog(cfg LogConfig, codec *recordCodec) (*boltLog, error) {
	path := filepath.Join(cfg.Dir, boltLogFile)
	store, err := openBolt(path, func(*raftboltdb.BoltStore) error { return nil })
	if err != nil {
		return nil, err
	}
	return &boltLog{BoltStore: store, path: path, codec: codec, metrics: cfg.Metrics}, nil
}

func (b *boltLog) FirstIndex() (index uint64, err error) {
	err = guarded(b.path, func() error { index, err = b.BoltStore.FirstIndex(); return err })
	return index, err
}

func (b *boltLog) LastIndex() (index uint64, err error) {
	err = guarded(b.path, func() error { index, err = b.BoltStore.LastIndex(); return err })
	return index, err
}

func (b *boltLog) GetLog(index uint64, entry *raft.Log) error {
	var outer raft.Log
	err := guarded(b.path, func() error { return b.BoltStore.GetLog(index, &outer) })
	switch {
	case err == raft.ErrLogNotFound, errors.Is(err, bbolt.ErrDatabaseNotOpen), errors.Is(err, ErrCorrupt):
		return err
	case err != nil: // reading is from memory: what is left is that it does not decode
		return corrupt(b.path, "entry %d: %v", index, err)
	}
	return decodeRecord(outer.Data, b.codec.id, entry)
}

func (b *boltLog) StoreLogs(entries []*raft.Log) error {
	outer := make([]*raft.Log, len(entries))
	for i, entry := range entries {
		data, packed := b.codec.packer.pack(entry)
		record := make([]byte, 0, recordHeaderLen+len(data)+len(entry.Extensions))
		record = appendRecordHeader(record, b.codec.id, b.codec.first, entry, data, packed)
		record = append(append(record, data...), entry.Extensions...)
		outer[i] = &raft.Log{Index: entry.Index, Data: record}
	}
	return timed(b.metrics, storeLog, func() error {
		return guarded(b.path, func() error { return b.BoltStore.StoreLogs(outer) })
	})
}

func (b *boltLog) DeleteRange(min, max uint64) error {
	return guarded(b.path, func() error { return b.BoltStore.DeleteRange(min, max) })
}
