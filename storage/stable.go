package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// StableConfig says where raft keeps its term and vote.
type StableConfig struct {
	Path    string       // of the file; its directory is made when absent
	Log     *slog.Logger // nil: discarded
	Metrics *Metrics     // nil: not counted
	Fatal   func(error)  // as in LogConfig
	// MustExist refuses to make the file. Set it when the log has entries or there
	// is a snapshot: such a node has had a term, and without it would vote twice.
	MustExist bool
}

// Stable is raft's StableStore: raft-boltdb, with a checksum over each key and
// value, and a list of the keys, so that a value that is gone is not taken for
// one that was never set: a node without its vote would vote again.
type Stable struct {
	cfg   StableConfig
	inner *raftboltdb.BoltStore

	mu     sync.Mutex // guards keys and failed, and makes Set and the list one
	keys   []string   // that were set, sorted
	failed error      // the first failed write, ErrClosed after Close
}

// stableKeys is the key of the list. raft's own have no dot.
const (
	stableKeys      = "mainstem.keys"
	stableKeysMax   = 1024
	stableSeparator = "\n"
)

// OpenStable opens the file, or makes one.
func OpenStable(cfg StableConfig) (*Stable, error) {
	if cfg.Path == "" {
		return nil, errors.New("storage: Path of the stable store is empty")
	}
	cfg.Log, cfg.Fatal = orDiscard(cfg.Log), orPanic(cfg.Fatal)
	s, err := openStable(cfg)
	if err != nil {
		if errors.Is(err, ErrCorrupt) {
			cfg.Metrics.corruption(storeStable)
		}
		return nil, fmt.Errorf("open stable store: %w", err)
	}
	return s, nil
}

func openStable(cfg StableConfig) (*Stable, error) {
	if err := makeDir(vfs.Default, filepath.Dir(cfg.Path)); err != nil {
		return nil, err
	}
	found, err := exists(vfs.Default, cfg.Path)
	if err != nil {
		return nil, err
	}
	if !found && cfg.MustExist {
		return nil, corrupt(cfg.Path, "it is missing on a node that has had a term")
	}
	inner, err := openBolt(cfg.Path, func(b *raftboltdb.BoltStore) error {
		return b.Set([]byte(stableKeys), seal([]byte(stableKeys), nil))
	})
	if err != nil {
		return nil, err
	}
	s := &Stable{cfg: cfg, inner: inner}
	if err := s.verify(); err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	return s, nil
}

// openStableToRead opens the file without changing it.
func openStableToRead(path string) (*Stable, error) {
	inner, err := openBoltToRead(path)
	if err != nil {
		return nil, err
	}
	s := &Stable{cfg: StableConfig{Path: path}, inner: inner}
	if err := s.verify(); err != nil {
		return nil, errors.Join(err, inner.Close())
	}
	return s, nil
}

// verify reads the list of keys, which each file has from its making on, and
// every value that it names.
func (s *Stable) verify() error {
	list, err := s.read([]byte(stableKeys))
	if err != nil {
		return err
	}
	if list == nil {
		return corrupt(s.cfg.Path, "the list of keys is missing")
	}
	if len(list) == 0 {
		return nil
	}
	s.keys = strings.Split(string(list), stableSeparator)
	for _, key := range s.keys {
		value, err := s.read([]byte(key))
		if err != nil {
			return err
		}
		if value == nil {
			return corrupt(s.cfg.Path, "%s was set and is missing", key)
		}
	}
	return nil
}

// read returns nil for a key that is absent, and never nil otherwise.
func (s *Stable) read(key []byte) (value []byte, err error) {
	var sealed []byte
	err = guarded(s.cfg.Path, func() error {
		sealed, err = s.inner.Get(key)
		return err
	})
	if errors.Is(err, raftboltdb.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	value, ok := unseal(key, sealed)
	if !ok {
		return nil, corrupt(s.cfg.Path, "the value of %s does not check", key)
	}
	return value, nil
}

// seal appends CRC-32C over the key and the value.
func seal(key, value []byte) []byte {
	sealed := append(make([]byte, 0, len(value)+4), value...)
	return binary.BigEndian.AppendUint32(sealed, castagnoli(castagnoli(0, key), value))
}

func unseal(key, sealed []byte) (value []byte, ok bool) {
	if len(sealed) < 4 {
		return nil, false
	}
	value, sum := sealed[:len(sealed)-4], sealed[len(sealed)-4:]
	return value, binary.BigEndian.Uint32(sum) == castagnoli(castagnoli(0, key), value)
}

// Get returns a value. For a key that was never set it returns
// raftboltdb.ErrKeyNotFound, whose text raft looks for.
func (s *Stable) Get(key []byte) ([]byte, error) {
	value, err := s.read(key)
	if err == nil && value == nil {
		if !s.known(string(key)) {
			return nil, raftboltdb.ErrKeyNotFound
		}
		err = corrupt(s.cfg.Path, "%s was set and is missing", key)
	}
	if errors.Is(err, ErrCorrupt) {
		s.cfg.Metrics.corruption(storeStable)
	}
	return value, err
}

func (s *Stable) known(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, found := slices.BinarySearch(s.keys, key)
	return found
}

// Set stores a value; it is durable when Set returns.
func (s *Stable) Set(key, value []byte) error {
	if strings.Contains(string(key), stableSeparator) || string(key) == stableKeys || len(key) == 0 {
		return fmt.Errorf("stable store: the key %q is not allowed", key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	if err := s.write(key, value); err != nil {
		return err
	}
	at, found := slices.BinarySearch(s.keys, string(key))
	if found {
		return nil
	}
	if len(s.keys) == stableKeysMax {
		return fmt.Errorf("stable store: more than %d keys", stableKeysMax)
	}
	// The list comes second: a key that it names is there.
	keys := slices.Insert(slices.Clone(s.keys), at, string(key))
	if err := s.write([]byte(stableKeys), []byte(strings.Join(keys, stableSeparator))); err != nil {
		return err
	}
	s.keys = keys
	return nil
}

// write latches the first failure: bolt would try the fsync again.
func (s *Stable) write(key, value []byte) error {
	err := timed(s.cfg.Metrics, storeStable, func() error {
		return guarded(s.cfg.Path, func() error { return s.inner.Set(key, seal(key, value)) })
	})
	if err != nil {
		s.failed = fmt.Errorf("store %s in %s: %w", key, s.cfg.Path, err)
		s.cfg.Fatal(s.failed)
		return s.failed
	}
	return nil
}

// SetUint64 stores a number.
func (s *Stable) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 returns a number; see Get.
func (s *Stable) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("read %s from %s: %d bytes are not a number", key, s.cfg.Path, len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// Close closes the file. It is safe to call twice.
func (s *Stable) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.failed, ErrClosed) {
		return nil
	}
	s.failed = ErrClosed
	return s.inner.Close()
}
