package cluster

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/memberlist"
)

const (
	// GossipKeysBytesMax bounds a file of keys of gossip.
	GossipKeysBytesMax = 64 << 10
	// gossipKeysMax bounds a keyring: two are in use while keys are changed.
	gossipKeysMax = 8
	// fingerprintBytes of a key's SHA-256 tell it from others; the key is random.
	fingerprintBytes = 8
)

// KeyringState is the keys of gossip as a node keeps them, and as nodes tell each
// other. The first key encrypts, all decrypt.
type KeyringState struct {
	Term   uint64   `json:"term"`   // of the leader that made it; 0: as configured
	Serial uint64   `json:"serial"` // grows with each change
	Keys   [][]byte `json:"keys"`
}

// newer reports that s was made after o: leaders of two terms may have made one at
// the same time, and then the later leader's counts.
func (s KeyringState) newer(o KeyringState) bool {
	if s.Term != o.Term {
		return s.Term > o.Term
	}
	return s.Serial > o.Serial
}

// Validate names what is wrong with the keys, without showing one.
func (s KeyringState) Validate() error {
	if len(s.Keys) == 0 || len(s.Keys) > gossipKeysMax {
		return fmt.Errorf("%d keys of gossip: want 1 to %d", len(s.Keys), gossipKeysMax)
	}
	for i, key := range s.Keys {
		if err := memberlist.ValidateKey(key); err != nil {
			return fmt.Errorf("key %d of gossip has %d bytes: want 16, 24 or 32", i+1, len(key))
		}
		if s.index(Fingerprint(key)) != i {
			return fmt.Errorf("key %d of gossip is there twice", i+1)
		}
	}
	return nil
}

func (s KeyringState) index(fingerprint string) int {
	return slices.IndexFunc(s.Keys, func(key []byte) bool { return Fingerprint(key) == fingerprint })
}

func (s KeyringState) fingerprints() (list []string) {
	for _, key := range s.Keys {
		list = append(list, Fingerprint(key))
	}
	return list
}

// Fingerprint names a key without telling it.
func Fingerprint(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:fingerprintBytes])
}

// ParseGossipKeys reads a file of keys, one a line. An error names the line and not
// what is in it.
func ParseGossipKeys(content []byte) (keys [][]byte, err error) {
	number := 0
	for line := range bytes.Lines(content) {
		number++
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		key, err := parseGossipKey(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		keys = append(keys, key)
	}
	return keys, KeyringState{Keys: keys}.Validate()
}

// parseGossipKey reads a key of 16, 24 or 32 bytes in base64. The error does not
// show it.
func parseGossipKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || memberlist.ValidateKey(key) != nil {
		return nil, errors.New("a key of gossip is 16, 24 or 32 bytes in base64; mainstem cluster keyring generate makes one")
	}
	return key, nil
}

// KeyringConfig is what a Keyring starts with.
type KeyringConfig struct {
	State KeyringState
	Save  func(KeyringState) error // durable when it returns; nil: it is not kept
	Log   *slog.Logger             // discarded
}

// Keyring is the keys by which a node encrypts gossip. Gossip uses it, and the Node
// changes it and brings it to the other members.
type Keyring struct {
	cfg  KeyringConfig
	ring *memberlist.Keyring

	mu    sync.Mutex // guards state, and the order of changes
	state KeyringState
}

// NewKeyring makes a keyring of its first keys.
func NewKeyring(cfg KeyringConfig) (*Keyring, error) {
	if err := cfg.State.Validate(); err != nil {
		return nil, err
	}
	if cfg.Save == nil {
		cfg.Save = func(KeyringState) error { return nil }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ring, err := memberlist.NewKeyring(cfg.State.Keys, cfg.State.Keys[0])
	if err != nil {
		return nil, err
	}
	return &Keyring{cfg: cfg, ring: ring, state: cfg.State}, nil
}

// State is what the keyring holds now. The caller leaves the keys as they are.
func (k *Keyring) State() KeyringState {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// Configure replaces keys that no command has changed yet, as the file that they
// come from has changed.
func (k *Keyring) Configure(keys [][]byte) error {
	next := KeyringState{Keys: keys}
	if err := next.Validate(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state.Term > 0 {
		k.cfg.Log.Info("the changed file of gossip keys is not used: this cluster's keys have been changed by command, and are kept in the data directory")
		return nil
	}
	k.use(next)
	k.cfg.Log.Info("gossip keys read again", "keys", next.fingerprints())
	return nil
}

// adopt takes a newer state over, once it is durable here.
func (k *Keyring) adopt(next KeyringState) error {
	if err := next.Validate(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !next.newer(k.state) {
		return nil
	}
	if err := k.cfg.Save(next); err != nil {
		return fmt.Errorf("keep the keys of gossip: %w", err)
	}
	k.use(next)
	k.cfg.Log.Info("gossip keys changed", "keys", next.fingerprints())
	return nil
}

// use installs the keys. The ring gives out its own list, and removing a key from
// the midst of it would move others under its readers; removing the last one only
// ends the list sooner. So what goes is brought to the end first.
func (k *Keyring) use(next KeyringState) {
	for _, key := range next.Keys {
		k.ring.AddKey(key) // of a size that was checked; at the end, if it is new
	}
	first := next.Keys[:1]
	if len(k.ring.GetKeys()) > len(next.Keys) {
		first = next.Keys
	}
	for _, key := range slices.Backward(first) {
		k.ring.UseKey(key) // to the front
	}
	for keys := k.ring.GetKeys(); len(keys) > len(next.Keys); keys = k.ring.GetKeys() {
		k.ring.RemoveKey(keys[len(keys)-1])
	}
	k.state = next
}

// KeyChange is what an operator asks for. Key is for add; a fingerprint names the
// key that is to be used or removed.
type KeyChange struct {
	Do          string `json:"do"`
	Key         []byte `json:"key,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
}

// What KeyChange.Do may be.
const (
	KeyAdd    = "add"
	KeyUse    = "use"
	KeyRemove = "remove"
)

// apply returns the keys after the change, or a *refusal.
func (c KeyChange) apply(s KeyringState) ([][]byte, error) {
	keys, at := slices.Clone(s.Keys), s.index(c.Fingerprint)
	switch {
	case c.Do == KeyAdd && memberlist.ValidateKey(c.Key) != nil:
		return nil, &refusal{"the key to add has no 16, 24 or 32 bytes"}
	case c.Do == KeyAdd && s.index(Fingerprint(c.Key)) >= 0:
		return keys, nil // and every member is told again
	case c.Do == KeyAdd && len(keys) >= gossipKeysMax:
		return nil, &refusal{fmt.Sprintf("there are %d keys; remove one that is not used any more first", len(keys))}
	case c.Do == KeyAdd:
		return append(keys, c.Key), nil
	case c.Do != KeyUse && c.Do != KeyRemove:
		return nil, &refusal{fmt.Sprintf("keys are changed by %s, %s and %s, not by %q", KeyAdd, KeyUse, KeyRemove, c.Do)}
	case at < 0 && c.Do == KeyRemove:
		return keys, nil
	case at < 0:
		return nil, &refusal{fmt.Sprintf("no key has the fingerprint %q; add the key first", c.Fingerprint)}
	case c.Do == KeyUse:
		return slices.Insert(slices.Delete(keys, at, at+1), 0, s.Keys[at]), nil
	case at == 0:
		return nil, &refusal{"this is the key that encrypts; use another first"}
	}
	return slices.Delete(keys, at, at+1), nil
}
