package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pelletier/go-toml/v2"

	"mainstem/fresh"
	"mainstem/stream"
)

const (
	keysBytesMax = 4 << 20
	// KeyPrefix begins keys that NewEntry makes, so that a leaked one is found by a
	// search.
	KeyPrefix = "ms_"
)

// KeysConfig is where API keys are read from.
type KeysConfig struct {
	Path string           // TOML, see docs/auth.md
	Now  func() time.Time // time.Now
	Log  *slog.Logger     // discarded
}

// Keys are the API keys of a file, which is read again when it changes. The file
// holds no key, only the SHA-256 of each: keys are long and random, so that the
// hash needs no salt.
type Keys struct {
	cfg     KeysConfig
	current atomic.Pointer[map[[sha256.Size]byte]*apiKey]
	file    *fresh.Files
}

type apiKey struct {
	id      *Identity
	expires time.Time // zero for never
}

// keyFile is the file.
type keyFile struct {
	Key []keyEntry `toml:"key"`
}

type keyEntry struct {
	Name    string    `toml:"name"`
	SHA256  string    `toml:"sha256"`
	Scopes  []string  `toml:"scopes"`
	Streams []string  `toml:"streams"`
	Expires time.Time `toml:"expires"`
}

// OpenKeys reads the file, and refuses one with a mistake in it.
func OpenKeys(cfg KeysConfig) (*Keys, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	k := &Keys{cfg: cfg}
	var err error
	k.file, err = fresh.Open(fresh.Config{
		Files: []fresh.File{{Path: cfg.Path, BytesMax: keysBytesMax}},
		Take:  func(content [][]byte) error { return k.take(content[0]) },
		Taken: func() { cfg.Log.Info("API keys read again", "keys", len(*k.current.Load())) },
		Refused: func(err error) {
			cfg.Log.Error("the changed file of API keys is not sound; the keys stay as they were", "err", err)
		},
	})
	return k, err
}

// take makes the keys of the file the valid ones.
func (k *Keys) take(content []byte) error {
	var file keyFile
	if err := toml.NewDecoder(bytes.NewReader(content)).DisallowUnknownFields().Decode(&file); err != nil {
		var unknown *toml.StrictMissingError // first: it holds DecodeErrors
		if errors.As(err, &unknown) {
			row, _ := unknown.Errors[0].Position()
			return fmt.Errorf("%s:%d: %v is not known; want name, sha256, scopes, streams, expires", k.cfg.Path, row, unknown.Errors[0].Key())
		}
		var at *toml.DecodeError
		if errors.As(err, &at) {
			row, column := at.Position()
			return fmt.Errorf("%s:%d:%d: %w", k.cfg.Path, row, column, err)
		}
		return fmt.Errorf("%s: %w", k.cfg.Path, err)
	}
	keys := map[[sha256.Size]byte]*apiKey{}
	for i, entry := range file.Key {
		hash, key, err := entry.parse()
		if err != nil {
			return fmt.Errorf("%s: key %d (%s): %w", k.cfg.Path, i+1, entry.Name, err)
		}
		if _, twice := keys[hash]; twice {
			return fmt.Errorf("%s: key %d (%s) is there twice", k.cfg.Path, i+1, entry.Name)
		}
		keys[hash] = key
	}
	k.current.Store(&keys)
	return nil
}

func (e keyEntry) parse() (hash [sha256.Size]byte, key *apiKey, err error) {
	if e.Name == "" {
		return hash, nil, errors.New("it has no name")
	}
	if n, err := hex.Decode(hash[:], []byte(e.SHA256)); err != nil || n != len(hash) || len(e.SHA256) != 2*len(hash) {
		return hash, nil, errors.New("sha256 is not 64 hexadecimal digits; it is the SHA-256 of the key")
	}
	may, err := parseScopes(e.Scopes)
	if err != nil {
		return hash, nil, err
	}
	g := grant{may: may}
	if len(e.Streams) == 0 {
		return hash, nil, errors.New(`streams names no pattern; ["**"] is every stream`)
	}
	for _, text := range e.Streams {
		p, err := stream.ParsePattern(text)
		if err != nil {
			return hash, nil, err
		}
		g.streams = append(g.streams, p)
	}
	return hash, &apiKey{id: &Identity{Name: e.Name, Key: "key " + e.Name, grants: []grant{g}}, expires: e.Expires}, nil
}

// verify looks the hash up: how long that takes tells nothing of the key.
func (k *Keys) verify(token string) (*Identity, error) {
	key, known := (*k.current.Load())[sha256.Sum256([]byte(token))]
	switch {
	case !known:
		return nil, errNotMine
	case !key.expires.IsZero() && !k.cfg.Now().Before(key.expires):
		return nil, errExpired
	}
	return key.id, nil
}

// run reads the file again when it has changed. A mistake in it is told once and
// leaves the keys as they were.
func (k *Keys) run(ctx context.Context) { k.file.Run(ctx) }

// NewEntry makes a key, and its entry as the file holds it.
func NewEntry(name string, scopes, streams []string) (key, entry string, err error) {
	key = KeyPrefix + rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(key))
	e := keyEntry{Name: name, SHA256: hex.EncodeToString(sum[:]), Scopes: scopes, Streams: streams}
	if _, _, err := e.parse(); err != nil {
		return "", "", err
	}
	list := func(words []string) string {
		quoted := make([]string, len(words))
		for i, word := range words {
			quoted[i] = strconv.Quote(word)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return key, fmt.Sprintf("[[key]]\nname = %q\nsha256 = %q\nscopes = %s\nstreams = %s\n\n", name, e.SHA256, list(scopes), list(streams)), nil
}
