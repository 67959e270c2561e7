package deliver

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"mainstem/subs"
)

// The first byte of a key's secret says how the rest is kept.
const (
	secretPlain  = 1 // the seed
	secretSealed = 2 // AES-256-GCM: nonce, sealed seed, tag
)

// sealPurpose is authenticated with each sealed seed, followed by the key's id, so
// that no sealed secret passes for another.
const sealPurpose = "mainstem webhook signing key 1 "

var (
	errSealed   = errors.New("it is sealed, and this node has no webhooks.key_encryption_key; give it the one of the other nodes")
	errWrongKey = errors.New("webhooks.key_encryption_key does not open it; give this node the one of the other nodes")
)

// ParseKey reads a key-encryption key: 32 bytes in base64 or hexadecimal.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if key, err := hex.DecodeString(text); err == nil && len(key) == keyEncryptionLen {
		return key, nil
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	if key, err := base64.RawStdEncoding.Strict().DecodeString(plain); err == nil && len(key) == keyEncryptionLen {
		return key, nil
	}
	return nil, fmt.Errorf("a key-encryption key is %d random bytes in base64 or hexadecimal; make one with: openssl rand -base64 32", keyEncryptionLen)
}

// keyID derives a key's id from the key: ds_ and its JWK thumbprint (RFC 7638).
func keyID(public ed25519.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("compute the thumbprint of a signing key: %w", err)
	}
	return keyIDPrefix + base64.RawURLEncoding.EncodeToString(sum), nil
}

const (
	keyIDPrefix = "ds_"
	keyIDBytes  = len(keyIDPrefix) + 43
)

// newKey makes a signing key, sealed if there is something to seal it with.
func newKey(random func([]byte), keyEncryptionKey []byte) (subs.Key, error) {
	seed := make([]byte, ed25519.SeedSize)
	random(seed)
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	kid, err := keyID(public)
	if err != nil {
		return subs.Key{}, err
	}
	secret, err := seal(seed, kid, keyEncryptionKey)
	if err != nil {
		return subs.Key{}, err
	}
	return subs.Key{Kid: kid, Public: public, Secret: secret, Sealed: len(keyEncryptionKey) > 0}, nil
}

func seal(seed []byte, kid string, keyEncryptionKey []byte) ([]byte, error) {
	if len(keyEncryptionKey) == 0 {
		return append([]byte{secretPlain}, seed...), nil
	}
	aead, err := sealer(keyEncryptionKey)
	if err != nil {
		return nil, err
	}
	return aead.Seal([]byte{secretSealed}, nil, seed, []byte(sealPurpose+kid)), nil
}

// openKey returns the private key of a record, and refuses one whose halves do not
// belong together.
func openKey(k subs.Key, keyEncryptionKey []byte) (ed25519.PrivateKey, error) {
	seed, err := unseal(k, keyEncryptionKey)
	if err != nil {
		return nil, fmt.Errorf("webhook signing key %s: %w", k.Kid, err)
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("webhook signing key %s has %d bytes instead of %d", k.Kid, len(seed), ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	if !private.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(k.Public)) {
		return nil, fmt.Errorf("webhook signing key %s does not belong to its public key", k.Kid)
	}
	return private, nil
}

func unseal(k subs.Key, keyEncryptionKey []byte) ([]byte, error) {
	if len(k.Secret) == 0 {
		return nil, errors.New("it has no private half any more")
	}
	rest := k.Secret[1:]
	switch k.Secret[0] {
	case secretPlain:
		return rest, nil
	case secretSealed:
		if len(keyEncryptionKey) == 0 {
			return nil, errSealed
		}
		aead, err := sealer(keyEncryptionKey)
		if err != nil {
			return nil, err
		}
		seed, err := aead.Open(nil, nil, rest, []byte(sealPurpose+k.Kid))
		if err != nil {
			return nil, errWrongKey
		}
		return seed, nil
	}
	return nil, fmt.Errorf("it is kept in form %d, which this version does not know", k.Secret[0])
}

func sealer(keyEncryptionKey []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(keyEncryptionKey)
	if err != nil {
		return nil, fmt.Errorf("use webhooks.key_encryption_key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
