package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// objectReader reads an object and knows at its end whether it is what was
// written.
type objectReader struct {
	name  string
	want  Object
	raw   io.ReadCloser
	sum   hash.Hash
	read  int64
	lost  error // what kept it from being read
	unzip *zstd.Decoder
	plain *bufio.Reader
}

func (c *Chain) open(m Manifest, o Object) (*objectReader, error) {
	raw, err := c.bucket.Get(c.ctx, m.path(o))
	if errors.Is(err, ErrAbsent) {
		return nil, damaged(m.path(o), "it is missing")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", m.path(o), err)
	}
	r := &objectReader{name: m.path(o), want: o, raw: raw, sum: sha256.New()}
	r.unzip, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8*windowBytes))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", r.name, err), raw.Close())
	}
	r.plain = buffered(r.unzip)
	return r, nil
}

// Read takes note of the bytes as they were stored.
func (r *objectReader) Read(p []byte) (int, error) {
	n, err := r.raw.Read(p)
	r.read += int64(n)
	r.sum.Write(p[:n])
	if err != nil && err != io.EOF {
		r.lost = err
	}
	return n, err
}

// damaged is the error for what cannot be made sense of, unless the object could
// not be read at all: then that is the error.
func (r *objectReader) damaged(err error) error {
	if r.lost != nil {
		return fmt.Errorf("read %s: %w", r.name, r.lost)
	}
	return damaged(r.name, "%v", err)
}

// close checks what was read, if it was read to its end.
func (r *objectReader) close() error {
	_, err := r.plain.Peek(1)
	r.unzip.Close()
	closed := r.raw.Close()
	switch {
	case err == nil:
		return closed // left in the middle
	case err != io.EOF:
		return r.damaged(err)
	case r.read != r.want.Bytes || hex.EncodeToString(r.sum.Sum(nil)) != r.want.SHA256:
		return damaged(r.name, "it has %d bytes with another checksum than the %d that were written", r.read, r.want.Bytes)
	}
	return closed
}

// abandon closes without a check.
func (r *objectReader) abandon() error {
	r.unzip.Close()
	return r.raw.Close()
}

// pairObjects reads the pairs of objects of one kind, one after the other.
type pairObjects struct {
	chain *Chain
	m     Manifest
	rest  []Object
	until []byte // the first key that is not wanted any more; nil for none

	open       *objectReader
	pairs      pairReader
	count      uint64 // in the open one
	key, value []byte // nil at the end
	before     []byte
}

// newPairObjects begins after a key, before the first pair: call next. Objects that
// hold nothing of what is wanted are not opened.
func (c *Chain) newPairObjects(m Manifest, kind Kind, after, until []byte) (*pairObjects, error) {
	p := &pairObjects{chain: c, m: m, until: until}
	for _, o := range m.of(kind) {
		first, err := hex.DecodeString(o.First)
		last, err2 := hex.DecodeString(o.Last)
		if err := errors.Join(err, err2); err != nil {
			return nil, damaged(m.ID+"/"+manifestName, "the keys of %s: %v", o.Name, err)
		}
		if after != nil && bytes.Compare(last, after) <= 0 || until != nil && bytes.Compare(first, until) >= 0 {
			continue
		}
		p.rest = append(p.rest, o)
	}
	for {
		if err := p.next(); err != nil {
			return nil, errors.Join(err, p.close())
		}
		if p.key == nil || bytes.Compare(p.key, after) > 0 {
			return p, nil
		}
	}
}

// next moves on to the next pair.
func (p *pairObjects) next() error {
	p.before = append(p.before[:0], p.key...)
	for {
		if p.open == nil {
			if len(p.rest) == 0 {
				p.key = nil
				return nil
			}
			o, err := p.chain.open(p.m, p.rest[0])
			if err != nil {
				return err
			}
			p.open, p.rest, p.count = o, p.rest[1:], 0
			p.pairs.r = o.plain
		}
		var err error
		p.key, p.value, err = p.pairs.next()
		switch {
		case err == io.EOF:
			if err := p.finish(); err != nil {
				return err
			}
			continue
		case err != nil:
			return p.open.damaged(err)
		}
		p.count++
		if len(p.before) > 0 && bytes.Compare(p.key, p.before) <= 0 {
			return damaged(p.open.name, "key %x comes after %x", p.key, p.before)
		}
		if p.until != nil && bytes.Compare(p.key, p.until) >= 0 {
			p.key, p.rest = nil, nil
			return p.close()
		}
		return nil
	}
}

func (p *pairObjects) finish() error {
	o := p.open
	p.open = nil
	if err := o.close(); err != nil {
		return err
	}
	if p.count != o.want.Pairs {
		return damaged(o.name, "it has %d pairs of %d", p.count, o.want.Pairs)
	}
	return nil
}

// close ends the reading where it is.
func (p *pairObjects) close() error {
	if p.open == nil {
		return nil
	}
	o := p.open
	p.open = nil
	return o.abandon()
}
