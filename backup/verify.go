package backup

import (
	"errors"
	"io"
)

// Verified is what Verify has read.
type Verified struct {
	Backups int
	Objects int
	Bytes   int64  // as stored
	Pairs   uint64 // that a restore would write
}

// Verify reads all that a backup stands on, and then goes through it as a restore
// would. Every damaged file is in the error, by name; it wraps ErrDamaged.
func (c *Chain) Verify(progress func(bytes int64)) (v Verified, err error) {
	v.Backups = len(c.backups)
	var found []error
	for _, m := range c.backups {
		for _, o := range m.Objects {
			err := c.check(m, o)
			if err != nil && !errors.Is(err, ErrDamaged) {
				return v, err
			}
			if err != nil {
				found = append(found, err)
			}
			v.Objects++
			v.Bytes += o.Bytes
			if progress != nil {
				progress(v.Bytes)
			}
		}
	}
	if err := errors.Join(found...); err != nil {
		return v, err
	}
	err = c.Walk(nil, func(_, _ []byte) error { v.Pairs++; return nil })
	return v, err
}

// check reads an object to its end.
func (c *Chain) check(m Manifest, o Object) error {
	r, err := c.open(m, o)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, r.plain); err != nil {
		return errors.Join(r.damaged(err), r.abandon())
	}
	return r.close()
}
