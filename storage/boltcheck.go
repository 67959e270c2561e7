package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bolt has a checksum over its two meta pages and over nothing else. On a page
// that was damaged it panics, loops or skips keys in silence. checkBolt reads the
// structure of a file before bolt does and refuses what bolt has not written:
// pages that are used twice or not at all, keys out of order, elements that do
// not lie side by side. Values carry checksums of ours.
//
//	page     id 8 | flags 2 | count 2 | overflow 4 | elements | keys and values
//	branch   position 4 | key size 4 | page 8
//	leaf     flags 4 | position 4 | key size 4 | value size 4
//	meta     magic 4 | version 4 | page size 4 | flags 4 | root page 8 | sequence 8 |
//	         freelist page 8 | pages 8 | transaction 8 | FNV-1a 8
const (
	boltPageHeader  = 16
	boltElement     = 16
	boltMetaLen     = 64
	boltMagic       = 0xED0CDAED
	boltPageBranch  = 1
	boltPageLeaf    = 2
	boltPageFree    = 16
	boltBucketValue = 1 // flag of a leaf element
	boltBucketLen   = 16
	boltDepthMax    = 64
	boltManyFree    = 0xFFFF
)

var errBolt = errors.New("bad bolt page")

func badBolt(page uint64, format string, args ...any) error {
	return fmt.Errorf("%w %d: %s", errBolt, page, fmt.Sprintf(format, args...))
}

func checkBolt(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = checkBoltFile(f)
	if errors.Is(err, errBolt) || errors.Is(err, io.EOF) {
		return corrupt(path, "%v", err)
	}
	return err
}

func checkBoltFile(f io.ReaderAt) error {
	c := &boltCheck{f: f, used: make(map[uint64]bool)}
	meta, err := c.metas()
	if err != nil {
		return err
	}
	c.used[0], c.used[1] = true, true
	if err := c.tree(meta.root, new(boltKeys), 0); err != nil {
		return err
	}
	return c.free(meta.freelist)
}

type boltCheck struct {
	f     io.ReaderAt
	bytes int64  // of a page
	pages uint64 // below the high water mark
	used  map[uint64]bool
}

type boltMeta struct{ root, freelist, pages, transaction uint64 }

// metas reads both meta pages and returns the newer. bolt would use one when the
// other is bad, and with it the state before the last write: a vote or an entry
// that was acknowledged. A power cut leaves no such page: what a write changes of
// it lies in one sector.
func (c *boltCheck) metas() (newest boltMeta, err error) {
	c.bytes = int64(os.Getpagesize())
	for page := range uint64(2) {
		var b [boltPageHeader + boltMetaLen]byte
		if _, err := c.f.ReadAt(b[:], int64(page)*c.bytes); err != nil {
			return newest, err
		}
		m := b[boltPageHeader:]
		sum := fnv.New64a()
		sum.Write(m[:boltMetaLen-8])
		if binary.NativeEndian.Uint32(m) != boltMagic || u64(m, 56) != sum.Sum64() {
			return newest, badBolt(page, "its checksum does not hold")
		}
		if page == 0 { // it may have been written on a machine with other pages
			c.bytes = int64(binary.NativeEndian.Uint32(m[8:]))
		}
		if t := u64(m, 48); t >= newest.transaction {
			newest = boltMeta{root: u64(m, 16), freelist: u64(m, 32), pages: u64(m, 40), transaction: t}
		}
	}
	c.pages = newest.pages
	return newest, nil
}

func u64(b []byte, at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }
func u32(b []byte, at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }

// page reads a page with its overflow and marks all of it as used.
func (c *boltCheck) page(id uint64) (b []byte, flags uint16, err error) {
	if id < 2 || id >= c.pages {
		return nil, 0, badBolt(id, "it is outside of the file")
	}
	var header [boltPageHeader]byte
	if _, err := c.f.ReadAt(header[:], int64(id)*c.bytes); err != nil {
		return nil, 0, err
	}
	if got := u64(header[:], 0); got != id {
		return nil, 0, badBolt(id, "it says that it is page %d", got)
	}
	overflow := uint64(u32(header[:], 12))
	if overflow >= c.pages-id {
		return nil, 0, badBolt(id, "%d pages belong to it", overflow)
	}
	for i := id; i <= id+overflow; i++ {
		if c.used[i] {
			return nil, 0, badBolt(i, "it is used twice")
		}
		c.used[i] = true
	}
	b = make([]byte, (int64(overflow)+1)*c.bytes)
	_, err = c.f.ReadAt(b, int64(id)*c.bytes)
	return b, binary.NativeEndian.Uint16(header[8:]), err
}

// boltKeys holds the last key of a bucket and a bound of the next: keys ascend
// over its leaves, and those below a branch's element are not before its key.
type boltKeys struct {
	last  []byte
	any   bool // last is set
	bound []byte
}

// from sets the bound; it lies after all keys so far.
func (k *boltKeys) from(bound []byte) bool {
	k.bound = bound
	return !k.any || string(k.last) < string(bound)
}

func (k *boltKeys) next(key []byte) bool {
	ok := string(key) >= string(k.bound) && (!k.any || string(k.last) < string(key))
	k.last, k.any = append(k.last[:0], key...), true
	return ok
}

func (c *boltCheck) tree(id uint64, keys *boltKeys, depth int) error {
	if depth > boltDepthMax {
		return badBolt(id, "it lies too deep")
	}
	b, flags, err := c.page(id)
	if err != nil {
		return err
	}
	switch flags {
	case boltPageLeaf:
		return c.leaf(id, b, keys, depth)
	case boltPageBranch:
		return c.branch(id, b, keys, depth)
	}
	return badBolt(id, "its flags are %#x", flags)
}

func (c *boltCheck) branch(id uint64, b []byte, keys *boltKeys, depth int) error {
	count := int(binary.NativeEndian.Uint16(b[10:]))
	if count == 0 {
		return badBolt(id, "it has no children")
	}
	at := boltPageHeader + count*boltElement // where the next key lies
	for i := range count {
		e := boltPageHeader + i*boltElement
		if at > len(b) || e+int(u32(b, e)) != at || len(b)-at < int(u32(b, e+4)) {
			return badBolt(id, "element %d is out of place", i)
		}
		key := b[at : at+int(u32(b, e+4))]
		at += len(key)
		if string(key) < string(keys.bound) || !keys.from(key) {
			return badBolt(id, "key %d is out of order", i)
		}
		if err := c.tree(u64(b, e+8), keys, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// leaf checks a leaf page, or the page of a bucket that lies inside of a value.
func (c *boltCheck) leaf(id uint64, b []byte, keys *boltKeys, depth int) error {
	count := int(binary.NativeEndian.Uint16(b[10:]))
	at := boltPageHeader + count*boltElement
	for i := range count {
		e := boltPageHeader + i*boltElement
		if at > len(b) || e+int(u32(b, e+4)) != at {
			return badBolt(id, "element %d is out of place", i)
		}
		keyLen, valueLen := int(u32(b, e+8)), int(u32(b, e+12))
		if keyLen > len(b)-at || valueLen > len(b)-at-keyLen {
			return badBolt(id, "element %d is too long", i)
		}
		key, value := b[at:at+keyLen], b[at+keyLen:at+keyLen+valueLen]
		at += keyLen + valueLen
		if !keys.next(key) {
			return badBolt(id, "key %d is out of order", i)
		}
		switch u32(b, e) {
		case 0:
		case boltBucketValue:
			if err := c.bucket(id, value, depth); err != nil {
				return err
			}
		default:
			return badBolt(id, "the flags of element %d are %#x", i, u32(b, e))
		}
	}
	return nil
}

// bucket checks a bucket: pages of its own, or one page inside of the value.
func (c *boltCheck) bucket(id uint64, value []byte, depth int) error {
	if len(value) < boltBucketLen {
		return badBolt(id, "a bucket is cut")
	}
	if root := u64(value, 0); root != 0 {
		return c.tree(root, new(boltKeys), depth+1)
	}
	inline := value[boltBucketLen:]
	if len(inline) < boltPageHeader || binary.NativeEndian.Uint16(inline[8:]) != boltPageLeaf {
		return badBolt(id, "a bucket inside of it is no leaf")
	}
	return c.leaf(id, inline, new(boltKeys), depth+1)
}

// free checks the list of free pages: what the tree does not use, all of it, and
// nothing else. bolt would write over what is on the list.
func (c *boltCheck) free(id uint64) error {
	b, flags, err := c.page(id)
	if err != nil {
		return err
	}
	if flags != boltPageFree {
		return badBolt(id, "its flags are %#x", flags)
	}
	count, at := uint64(binary.NativeEndian.Uint16(b[10:])), boltPageHeader
	if count == boltManyFree {
		count, at = u64(b, at), at+8
	}
	if count > uint64(len(b)-at)/8 {
		return badBolt(id, "%d free pages do not fit", count)
	}
	for i := range int(count) {
		page := u64(b, at+8*i)
		if page >= c.pages || c.used[page] {
			return badBolt(page, "it is listed as free and is not")
		}
		c.used[page] = true
	}
	if uint64(len(c.used)) != c.pages {
		return badBolt(id, "%d of %d pages are neither used nor free", c.pages-uint64(len(c.used)), c.pages)
	}
	return nil
}
