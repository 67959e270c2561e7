package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"mainstem/storage"
)

const (
	manifestName     = "manifest.json"
	manifestFormat   = 1
	manifestBytesMax = 256 << 20
)

// ErrDamaged is wrapped by errors about a backup that is not what was written.
// They name the file.
var ErrDamaged = errors.New("the backup is damaged")

func damaged(name, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrDamaged, name, fmt.Sprintf(format, args...))
}

// Manifest is what a backup consists of.
type Manifest struct {
	Format    int       `json:"format"`
	ID        string    `json:"id"`
	ClusterID string    `json:"cluster_id"`
	NodeID    string    `json:"node_id"`
	Version   string    `json:"version"` // of the node's program
	Index     uint64    `json:"index"`   // of the last entry of the log in it
	Term      uint64    `json:"term"`
	TakenAt   time.Time `json:"taken_at"`
	Wire      int       `json:"wire"`           // of the objects
	Base      *Base     `json:"base,omitempty"` // nil for a backup that is complete by itself
	Totals    Totals    `json:"totals"`
	Objects   []Object  `json:"objects"`
}

// Base is the backup that has the records before.
type Base struct {
	ID     string `json:"id"`
	SHA256 string `json:"sha256"` // of its manifest
	Index  uint64 `json:"index"`
}

// Object is a file of a backup. First and Last are keys, in hexadecimal; of a
// table of what is held there are none.
type Object struct {
	Name   string `json:"name"`
	Kind   Kind   `json:"kind"`
	Bytes  int64  `json:"bytes"` // as stored
	Plain  int64  `json:"plain"` // before compression
	SHA256 string `json:"sha256"`
	Pairs  uint64 `json:"pairs"`
	First  string `json:"first,omitempty"`
	Last   string `json:"last,omitempty"`
}

// Kind is what an object holds.
type Kind string

// The kinds of objects.
const (
	Records Kind = "records"
	State   Kind = "state"
	HeldSet Kind = "held"
)

// Stored is how many bytes the objects take.
func (m Manifest) Stored() (n int64) {
	for _, o := range m.Objects {
		n += o.Bytes
	}
	return n
}

// path is where an object of the backup lies.
func (m Manifest) path(o Object) string { return m.ID + "/" + o.Name }

func (m Manifest) of(kind Kind) []Object {
	return slices.DeleteFunc(slices.Clone(m.Objects), func(o Object) bool { return o.Kind != kind })
}

var objectName = regexp.MustCompile(`^(records|state|held)-[0-9]{6,9}$`)

func (m Manifest) validate(id string) error {
	switch {
	case m.Format > manifestFormat || m.Wire > WireVersion:
		return fmt.Errorf("%s/%s has format %d.%d and this version reads up to %d.%d: %w; use a newer mainstem", id, manifestName, m.Format, m.Wire, manifestFormat, WireVersion, storage.ErrNewerFormat)
	case m.Format < 1 || m.ID != id || m.Index == 0 || m.ClusterID == "":
		return damaged(id+"/"+manifestName, "it is of format %d and says id %q, index %d", m.Format, m.ID, m.Index)
	}
	for _, o := range m.Objects {
		if !objectName.MatchString(o.Name) {
			return damaged(id+"/"+manifestName, "it names an object %q", o.Name)
		}
	}
	return nil
}

// encode seals the manifest: a line of JSON and a line with its SHA-256.
func (m Manifest) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	b = append(b, '\n')
	return fmt.Appendf(b, "sha256 %s\n", digest(b)), nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// load reads the manifest of a backup. sum is the digest of all of it. Without
// one there is no backup, and the error wraps ErrAbsent.
func load(ctx context.Context, b Bucket, id string) (m Manifest, sum string, err error) {
	name := id + "/" + manifestName
	r, err := b.Get(ctx, name)
	if err != nil {
		return m, "", fmt.Errorf("read manifest: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(r, manifestBytesMax+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return m, "", fmt.Errorf("read manifest %s: %w", name, err)
	}
	end := bytes.IndexByte(content, '\n') + 1
	if end == 0 || len(content) > manifestBytesMax {
		return m, "", damaged(name, "it is cut, or no manifest")
	}
	if want := fmt.Sprintf("sha256 %s\n", digest(content[:end])); string(content[end:]) != want {
		return m, "", damaged(name, "its checksum is wrong")
	}
	if err := json.Unmarshal(content[:end], &m); err != nil {
		return m, "", damaged(name, "%v", err)
	}
	return m, digest(content), m.validate(id)
}

// List returns the backups in a bucket, oldest first, and the ids of those without
// a sound manifest, with what is wrong: they were interrupted, or are damaged.
func List(ctx context.Context, b Bucket) (backups []Manifest, unsound map[string]error, err error) {
	ids, err := b.List(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list backups: %w", err)
	}
	slices.Sort(ids)
	unsound = map[string]error{}
	for _, id := range ids {
		if !goodID.MatchString(id) {
			continue // not ours
		}
		m, _, err := load(ctx, b, id)
		switch {
		case errors.Is(err, ErrAbsent):
			unsound[id] = errors.New("it has no manifest: it was interrupted, or is being written")
		case errors.Is(err, ErrDamaged), errors.Is(err, storage.ErrNewerFormat):
			unsound[id] = err
		case err != nil:
			return nil, nil, err
		default:
			backups = append(backups, m)
		}
	}
	return backups, unsound, nil
}

var goodID = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9]{20}$`)

// newID sorts as backups are taken.
func newID(h Header) string {
	return fmt.Sprintf("%s-%020d", h.TakenAt.UTC().Format("20060102T150405Z"), h.Index)
}
