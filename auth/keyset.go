package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"mainstem/fresh"
)

const (
	keySetBytesMax = 1 << 20
	fetchTimeout   = 5 * time.Second
	// refetchPause is how soon an unknown key makes a JWKS be fetched again, so
	// that made-up key ids cannot make this node a nuisance.
	refetchPause = 10 * time.Second
	rsaBitsMin   = 2048
	secretMin    = 32
	pemSecret    = "SECRET"
)

// keySet is the keys that may have signed a token.
type keySet struct {
	cfg   TokensConfig
	files *fresh.Files
	known atomic.Pointer[[]verifyKey] // those of files

	mu      sync.Mutex // guards what follows; held over a fetch, so that one is made at a time
	fetched []verifyKey
	at      time.Time // of the last fetch that worked
	tried   time.Time // of the last fetch
	failure error     // of the last fetch
}

// verifyKey is a key with the algorithm that it is for: a public key is never
// taken for a shared secret.
type verifyKey struct {
	id        string
	algorithm jose.SignatureAlgorithm
	key       any
}

func openKeySet(cfg TokensConfig) (*keySet, error) {
	if cfg.KeyPath == "" && cfg.JWKSPath == "" && cfg.JWKSURL == "" {
		return nil, errors.New("JWTs need a key: a PEM file, a JWKS file or the URL of one")
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = 5 * time.Minute
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{Timeout: fetchTimeout}
	}
	s := &keySet{cfg: cfg}
	var files []fresh.File
	var parsers []func([]byte) ([]verifyKey, error)
	if cfg.KeyPath != "" {
		files, parsers = append(files, fresh.File{Path: cfg.KeyPath, BytesMax: keySetBytesMax}), append(parsers, parsePEM)
	}
	if cfg.JWKSPath != "" {
		files, parsers = append(files, fresh.File{Path: cfg.JWKSPath, BytesMax: keySetBytesMax}), append(parsers, parseJWKS)
	}
	var err error
	s.files, err = fresh.Open(fresh.Config{
		Files: files,
		Take: func(content [][]byte) error {
			keys := []verifyKey{}
			for i, parse := range parsers {
				more, err := parse(content[i])
				if err != nil {
					return fmt.Errorf("%s: %w", files[i].Path, err)
				}
				keys = append(keys, more...)
			}
			s.known.Store(&keys)
			return nil
		},
		Refused: func(err error) {
			cfg.Log.Error("the keys of JWTs cannot be read; they stay as they were", "err", err)
		},
	})
	return s, err
}

// run reads the files again every so often; mistakes leave the keys as they were.
func (s *keySet) run(ctx context.Context) { s.files.Run(ctx) }

// find returns the keys that may verify a token. An id that is not known makes a
// JWKS be fetched again.
func (s *keySet) find(ctx context.Context, id string, algorithm jose.SignatureAlgorithm) ([]any, error) {
	if keys := choose(*s.known.Load(), id, algorithm); len(keys) > 0 || s.cfg.JWKSURL == "" {
		return keys, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	keys := choose(s.fetched, id, algorithm)
	stale := s.at.IsZero() || now.Sub(s.at) > s.cfg.MaxAge
	if (stale || len(keys) == 0) && (s.tried.IsZero() || now.Sub(s.tried) >= refetchPause) {
		s.tried = now
		var fetched []verifyKey
		if fetched, s.failure = s.fetch(ctx); s.failure == nil {
			s.fetched, s.at, stale = fetched, now, false
			keys = choose(s.fetched, id, algorithm)
		}
	}
	if stale { // a key that was withdrawn must not be good for ever
		return nil, &unsureError{fmt.Errorf("fetch the keys of JWTs: %w", s.failure)}
	}
	return keys, nil
}

func choose(keys []verifyKey, id string, algorithm jose.SignatureAlgorithm) (list []any) {
	for _, k := range keys {
		if k.algorithm == algorithm && (id == "" || k.id == "" || k.id == id) {
			list = append(list, k.key)
		}
	}
	return list
}

func (s *keySet) fetch(ctx context.Context) ([]verifyKey, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.cfg.JWKSURL, nil)
	if err != nil {
		return nil, err
	}
	res, err := s.cfg.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", s.cfg.JWKSURL, res.Status)
	}
	content, err := io.ReadAll(io.LimitReader(res.Body, keySetBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(content) > keySetBytesMax {
		return nil, fmt.Errorf("%s answered with more than %d bytes", s.cfg.JWKSURL, keySetBytesMax)
	}
	return parseJWKS(content)
}

func parseJWKS(content []byte) (keys []verifyKey, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(content, &set); err != nil {
		return nil, fmt.Errorf("no JWKS: %w", err)
	}
	for _, one := range set.Keys {
		var k jose.JSONWebKey
		if err := json.Unmarshal(one, &k); err != nil {
			continue // of a kind that is not known here; the others are good all the same
		}
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		key := k.Key
		if _, shared := key.([]byte); !shared {
			key = k.Public().Key // nil for what is not valid
		}
		algorithm, err := algorithmOf(key)
		if err != nil || k.Algorithm != "" && k.Algorithm != string(algorithm) {
			continue // of an algorithm that is not taken here
		}
		keys = append(keys, verifyKey{k.KeyID, algorithm, key})
	}
	if len(keys) == 0 {
		return nil, errors.New("the JWKS holds no key for ES256, EdDSA, RS256 or HS256")
	}
	return keys, nil
}

// parsePEM reads public keys and certificates, and shared secrets.
func parsePEM(content []byte) (keys []verifyKey, err error) {
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		var key any
		switch block.Type {
		case "PUBLIC KEY":
			key, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			key, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case "CERTIFICATE":
			var cert *x509.Certificate
			if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
				key = cert.PublicKey
			}
		case pemSecret:
			key = bytes.Clone(block.Bytes)
		default:
			return nil, fmt.Errorf("a %s is no public key; give the public half only", block.Type)
		}
		if err != nil {
			return nil, err
		}
		algorithm, err := algorithmOf(key)
		if err != nil {
			return nil, err
		}
		keys = append(keys, verifyKey{block.Headers["kid"], algorithm, key})
	}
	if len(keys) == 0 {
		return nil, errors.New("no PEM block of a key in it")
	}
	return keys, nil
}

// algorithmOf is the one algorithm that a key is for.
func algorithmOf(key any) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return jose.ES256, nil
		}
		return "", errors.New("an elliptic key that is not on P-256")
	case ed25519.PublicKey:
		return jose.EdDSA, nil
	case *rsa.PublicKey:
		if k.N.BitLen() >= rsaBitsMin {
			return jose.RS256, nil
		}
		return "", fmt.Errorf("an RSA key of fewer than %d bits", rsaBitsMin)
	case []byte:
		if len(k) >= secretMin {
			return jose.HS256, nil
		}
		return "", fmt.Errorf("a shared secret of fewer than %d bytes", secretMin)
	}
	return "", fmt.Errorf("a key of a kind that is not taken: %T", key)
}
