package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"mainstem/storage"
)

// Chain is a backup and all that it stands on. Its errors name the damaged file.
type Chain struct {
	ctx     context.Context
	bucket  Bucket
	backups []Manifest // oldest first
	sum     string     // of the last one's manifest
}

// Load reads the manifests of a backup and of its bases; id "" is the last one.
// The context is for all that the chain reads.
func Load(ctx context.Context, b Bucket, id string) (*Chain, error) {
	if id == "" {
		backups, unsound, err := List(ctx, b)
		if err != nil {
			return nil, err
		}
		if len(backups) == 0 {
			return nil, fmt.Errorf("there is no backup here%s", explainUnsound(unsound))
		}
		id = backups[len(backups)-1].ID
	}
	c := &Chain{ctx: ctx, bucket: b}
	var want *Base
	for id != "" {
		m, sum, err := load(ctx, b, id)
		switch {
		case errors.Is(err, ErrAbsent) && want != nil:
			return nil, damaged(id+"/"+manifestName, "it is missing, and %s stands on it", c.backups[0].ID)
		case err != nil:
			return nil, err
		case want != nil && (sum != want.SHA256 || m.ClusterID != c.backups[0].ClusterID):
			return nil, damaged(id+"/"+manifestName, "it is another one than %s stands on", c.backups[0].ID)
		case len(c.backups) > chainMax:
			return nil, damaged(id+"/"+manifestName, "more than %d backups stand on each other", chainMax)
		}
		if want == nil {
			c.sum = sum
		}
		c.backups = slices.Insert(c.backups, 0, m)
		id, want = "", m.Base
		if want != nil {
			id = want.ID
		}
	}
	return c, nil
}

func explainUnsound(unsound map[string]error) (text string) {
	for _, id := range slices.Sorted(maps.Keys(unsound)) {
		text += fmt.Sprintf("; %s: %v", id, unsound[id])
	}
	return text
}

// Manifest is that of the backup itself, the last of its chain.
func (c *Chain) Manifest() Manifest { return c.backups[len(c.backups)-1] }

// Bytes is what all objects of the chain take.
func (c *Chain) Bytes() (n int64) {
	for _, m := range c.backups {
		n += m.Stored()
	}
	return n
}

// held reads the table of what the backup holds.
func (c *Chain) held() *heldObjects {
	m := c.Manifest()
	return &heldObjects{chain: c, m: m, rest: m.of(HeldSet)}
}

// heldObjects reads a table that is cut into objects.
type heldObjects struct {
	chain *Chain
	m     Manifest
	rest  []Object
	open  *objectReader
	table heldReader
	last  uint64
	read  bool
}

func (r *heldObjects) next() (storage.Held, error) {
	for {
		if r.open != nil {
			h, err := r.table.next()
			if err == nil && r.read && h.Incarnation <= r.last {
				err = fmt.Errorf("incarnation %d comes after %d", h.Incarnation, r.last)
			}
			if err == nil {
				r.last, r.read = h.Incarnation, true
				return h, nil
			}
			if err != io.EOF {
				return h, r.open.damaged(err)
			}
			if err := r.close(); err != nil {
				return h, err
			}
		}
		if len(r.rest) == 0 {
			return storage.Held{}, io.EOF
		}
		o, err := r.chain.open(r.m, r.rest[0])
		if err != nil {
			return storage.Held{}, err
		}
		r.open, r.rest, r.table = o, r.rest[1:], heldReader{r: o.plain}
	}
}

func (r *heldObjects) close() error {
	if r.open == nil {
		return nil
	}
	o := r.open
	r.open = nil
	return o.close()
}
