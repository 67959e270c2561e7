package deliver

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/go-jose/go-jose/v4"

	"mainstem/subs"
)

// keyring signs and verifies with the keys in the replicated state. It keeps
// nothing but the active key, opened.
type keyring struct {
	cfg   Config
	store Store
	log   Log

	making chan struct{} // has room for one, who makes a missing key while others wait

	mu     sync.Mutex // guards active
	active *signingKey
}

// signingKey is a key that signs.
type signingKey struct {
	kid     string
	private ed25519.PrivateKey
}

// Format keeps the private half out of whatever is printed.
func (k signingKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "signing key "+k.kid) }

// LogValue keeps it out of log lines, which may be JSON.
func (k signingKey) LogValue() slog.Value { return slog.StringValue("signing key " + k.kid) }

func newKeyring(cfg Config, store Store, log Log) *keyring {
	return &keyring{cfg: cfg, store: store, log: log, making: make(chan struct{}, 1)}
}

// current returns the key that signs, as this node's copy knows it; ok is false
// when there is none.
func (r *keyring) current() (key *signingKey, ok bool, err error) {
	record, ok := activeKey(r.store.SigningKeys())
	if !ok {
		return nil, false, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active != nil && r.active.kid == record.Kid {
		return r.active, true, nil
	}
	private, err := openKey(record, r.cfg.KeyEncryptionKey)
	if err != nil {
		return nil, true, err
	}
	r.active = &signingKey{kid: record.Kid, private: private}
	return r.active, true, nil
}

func activeKey(keys []subs.Key) (subs.Key, bool) {
	if n := len(keys); n > 0 && keys[n-1].RetiredAt == 0 {
		return keys[n-1], true
	}
	return subs.Key{}, false
}

// ensure returns the key that signs, and makes the first one. The log keeps the
// first that reaches it, whichever nodes try at once.
func (r *keyring) ensure(ctx context.Context) (*signingKey, error) {
	if err := r.ensureRecord(ctx); err != nil {
		return nil, err
	}
	key, ok, err := r.current()
	if err == nil && !ok {
		err = errNoKey
	}
	return key, err
}

var errNoKey = errors.New("there is no webhook signing key yet; try again")

// ensureRecord returns once this node's copy has an active key, whether or not this
// node can open it.
func (r *keyring) ensureRecord(ctx context.Context) error {
	if _, ok := activeKey(r.store.SigningKeys()); ok {
		return nil
	}
	select {
	case r.making <- struct{}{}:
		defer func() { <-r.making }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, ok := activeKey(r.store.SigningKeys()); ok {
		return nil // made meanwhile
	}
	if err := r.log.Fence(ctx); err != nil {
		return fmt.Errorf("look for the webhook signing key: %w", err)
	}
	if _, ok := activeKey(r.store.SigningKeys()); ok {
		return nil
	}
	_, err := r.put(ctx, false)
	return err
}

// rotate puts a new key in the place of the active one.
func (r *keyring) rotate(ctx context.Context) (kid string, err error) { return r.put(ctx, true) }

// put proposes a new key and returns once this node knows what became of it.
func (r *keyring) put(ctx context.Context, rotate bool) (kid string, err error) {
	key, err := newKey(r.cfg.Random, r.cfg.KeyEncryptionKey)
	if err != nil {
		return "", err
	}
	if _, err := propose(ctx, r.log, subs.PutKey{Key: key, Rotate: rotate}); err != nil {
		return "", fmt.Errorf("put a webhook signing key into the log: %w", err)
	}
	if err := r.log.Fence(ctx); err != nil {
		return "", fmt.Errorf("wait for the webhook signing key: %w", err)
	}
	record, ok := activeKey(r.store.SigningKeys())
	if !ok {
		return "", errNoKey
	}
	r.cfg.Log.Info("webhook signing key in use", "kid", record.Kid, "sealed", record.Sealed)
	return record.Kid, nil
}

// public returns the public key with an id. It looks again, behind a fence, for one
// that this node's copy may not have yet.
func (r *keyring) public(ctx context.Context, kid string) (ed25519.PublicKey, bool, error) {
	if key, ok := findKey(r.store.SigningKeys(), kid); ok {
		return key, true, nil
	}
	if err := r.log.Fence(ctx); err != nil {
		return nil, false, err
	}
	key, ok := findKey(r.store.SigningKeys(), kid)
	return key, ok, nil
}

func findKey(keys []subs.Key, kid string) (ed25519.PublicKey, bool) {
	for _, k := range keys {
		if k.Kid == kid && len(k.Public) == ed25519.PublicKeySize {
			return k.Public, true
		}
	}
	return nil, false
}

// jwks is the JWK Set of §6.5: the active key first, then those whose signatures
// may still be on their way.
func (r *keyring) jwks(ctx context.Context) ([]byte, error) {
	if err := r.ensureRecord(ctx); err != nil {
		return nil, err
	}
	keys := r.store.SigningKeys()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for i := len(keys) - 1; i >= 0; i-- {
		set.Keys = append(set.Keys, jose.JSONWebKey{
			Key: ed25519.PublicKey(keys[i].Public), KeyID: keys[i].Kid, Use: "sig", Algorithm: string(jose.EdDSA),
		})
	}
	return json.Marshal(set)
}
