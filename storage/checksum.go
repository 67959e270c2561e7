package storage

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"

	"github.com/cockroachdb/pebble/v2"
)

// Sum is a digest of the whole copy. Two nodes with equal Applied have equal
// Sums, however their commits were grouped and their tables laid out.
type Sum struct {
	Hash    string // SHA-256, hexadecimal
	Applied uint64
	Keys    uint64
	Bytes   uint64 // of keys and values
}

// checksumStride is how many keys are hashed between two looks at the context.
const checksumStride = 1024

// Checksum reads one state of the copy from end to end. Applied and Term are
// not in the hash: entries that carry no command move them on some nodes
// earlier than on others.
func (e *Engine) Checksum(ctx context.Context) (Sum, error) {
	c, err := e.acquire()
	if err != nil {
		return Sum{}, err
	}
	defer c.release()
	s := c.db.NewSnapshot()
	sum, err := checksum(ctx, s)
	return sum, named("checksum", c.dir, errors.Join(err, s.Close()))
}

func checksum(ctx context.Context, r pebble.Reader) (sum Sum, err error) {
	g, err := loadGlobals(r)
	if err != nil {
		return Sum{}, err
	}
	it, err := r.NewIter(nil)
	if err != nil {
		return Sum{}, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	sum.Applied = g.Applied
	h := sha256.New()
	for ok := it.First(); ok; ok = it.Next() {
		if sum.Keys%checksumStride == 0 && ctx.Err() != nil {
			return Sum{}, ctx.Err()
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return Sum{}, err
		}
		key := it.Key()
		if key[0] == prefixGlobals {
			v = g.replicated()
		}
		hashPair(h, key, v)
		sum.Keys++
		sum.Bytes += uint64(len(key) + len(v))
	}
	if err := it.Error(); err != nil {
		return Sum{}, err
	}
	sum.Hash = hex.EncodeToString(h.Sum(nil))
	return sum, nil
}

// hashPair writes lengths too, so that no byte can move between key and value.
func hashPair(h hash.Hash, key, value []byte) {
	var lengths [12]byte
	binary.BigEndian.PutUint32(lengths[:4], uint32(len(key)))
	binary.BigEndian.PutUint64(lengths[4:], uint64(len(value)))
	h.Write(lengths[:])
	h.Write(key)
	h.Write(value)
}
