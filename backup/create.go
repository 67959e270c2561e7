package backup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"mainstem/storage"
)

const (
	objectBytes = 16 << 20 // before compression; an object ends when it has reached them
	windowBytes = 1 << 20  // of compression: what each open object costs a reader
	// chainMax is how many backups may stand on each other: all are open at once
	// when the last is read, and one that is lost takes those on it along.
	chainMax = 30
)

// ErrBaseUnfit is wrapped by a Source that cannot go on from a base: it is of
// another cluster, or of later than the node's copy.
var ErrBaseUnfit = errors.New("the base is not of this node's past")

// Ask is what a Source is told of a base. The zero value asks for all.
type Ask struct {
	ClusterID string
	Index     uint64
	Held      []byte // as Send takes it
}

// Source hands out a node's copy, as Send does.
type Source interface {
	Open(ctx context.Context, base Ask) (io.ReadCloser, error)
}

// CreateConfig says how to make a backup.
type CreateConfig struct {
	Full     bool                    // do without a base
	Progress func(received, n int64) // bytes, as they come, and stored so far; may be nil
	Note     func(sentence string)   // what a person wants to know; may be nil
}

// Create makes a backup of a node's copy. It stands on the last one of the same
// cluster in the bucket, if there is one.
func Create(ctx context.Context, b Bucket, from Source, cfg CreateConfig) (Manifest, error) {
	c := &creation{ctx: ctx, bucket: b, cfg: cfg}
	if c.cfg.Progress == nil {
		c.cfg.Progress = func(int64, int64) {}
	}
	if c.cfg.Note == nil {
		c.cfg.Note = func(string) {}
	}
	ask, err := c.chooseBase()
	if err != nil {
		return Manifest{}, err
	}
	body, err := from.Open(ctx, ask)
	if errors.Is(err, ErrBaseUnfit) {
		c.cfg.Note(fmt.Sprintf("%v; all is read", err))
		c.m.Base = nil
		body, err = from.Open(ctx, Ask{})
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("ask the node for its copy: %w", err)
	}
	defer body.Close()
	if err := c.run(body); err != nil {
		return Manifest{}, err
	}
	return c.m, nil
}

// creation is a backup while it is made.
type creation struct {
	ctx    context.Context
	bucket Bucket
	cfg    CreateConfig
	m      Manifest

	open     map[Kind]*object
	held     heldWriter
	counts   map[Kind]int
	zip      *zstd.Encoder
	received int64
	stored   int64
}

// object is one that is being filled.
type object struct {
	plain       []byte
	pairs       uint64
	first, last []byte
}

// chooseBase finds the last backup to stand on and notes it in the manifest.
func (c *creation) chooseBase() (Ask, error) {
	if c.cfg.Full {
		return Ask{}, nil
	}
	backups, _, err := List(c.ctx, c.bucket)
	if err != nil || len(backups) == 0 {
		return Ask{}, err
	}
	last := backups[len(backups)-1]
	chain, err := Load(c.ctx, c.bucket, last.ID)
	switch {
	case errors.Is(err, ErrDamaged), errors.Is(err, ErrAbsent):
		c.cfg.Note(fmt.Sprintf("backup %s cannot be stood on, all is read: %v", last.ID, err))
		return Ask{}, nil
	case err != nil:
		return Ask{}, err
	case len(chain.backups) >= chainMax:
		c.cfg.Note(fmt.Sprintf("%d backups stand on each other, which is the limit; all is read", chainMax))
		return Ask{}, nil
	}
	held, err := chain.heldTable(BaseBytesMax)
	if err != nil {
		c.cfg.Note(fmt.Sprintf("backup %s cannot be stood on, all is read: %v", last.ID, err))
		return Ask{}, nil
	}
	c.m.Base = &Base{ID: last.ID, SHA256: chain.sum, Index: last.Index}
	return Ask{ClusterID: last.ClusterID, Index: last.Index, Held: held}, nil
}

func (c *creation) run(body io.Reader) (err error) {
	c.open, c.counts = map[Kind]*object{}, map[Kind]int{}
	c.zip, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(windowBytes), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("prepare compression: %w", err)
	}
	totals, err := receiver{header: c.begin, pair: c.pair, held: c.hold}.receive(body)
	if err != nil {
		return err
	}
	for _, kind := range []Kind{Records, State, HeldSet} {
		if err := c.put(kind); err != nil {
			return err
		}
	}
	c.m.Totals = totals
	content, err := c.m.encode()
	if err != nil {
		return err
	}
	if err := c.bucket.Put(c.ctx, c.m.ID+"/"+manifestName, content); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}

func (c *creation) begin(h Header) error {
	c.m.Format, c.m.Wire, c.m.ID = manifestFormat, WireVersion, newID(h)
	c.m.ClusterID, c.m.NodeID, c.m.Version = h.ClusterID, h.NodeID, h.Version
	c.m.Index, c.m.Term, c.m.TakenAt = h.Index, h.Term, h.TakenAt
	switch {
	case c.m.Base == nil && h.Since != 0, c.m.Base != nil && h.Since != c.m.Base.Index:
		return fmt.Errorf("the node hands out what came after entry %d, which was not asked for", h.Since)
	case c.m.Base != nil && c.m.Base.ID >= c.m.ID:
		return fmt.Errorf("the base %s would not come before %s: two backups within a second, or a clock that was set back; try again", c.m.Base.ID, c.m.ID)
	}
	_, _, err := load(c.ctx, c.bucket, c.m.ID)
	if !errors.Is(err, ErrAbsent) {
		return errors.Join(fmt.Errorf("backup %s is there already; try again in a second", c.m.ID), err)
	}
	return c.m.validate(c.m.ID)
}

func (c *creation) pair(key, value []byte) error {
	kind := State
	if _, _, ok := storage.ParseRecordKey(key); ok {
		kind = Records
	}
	o := c.object(kind)
	before := len(o.plain)
	o.plain = appendPair(o.plain, key, value)
	if o.pairs++; o.pairs == 1 {
		o.first = bytes.Clone(key)
	}
	o.last = append(o.last[:0], key...)
	return c.grown(kind, o, before)
}

func (c *creation) hold(h storage.Held) error {
	o := c.object(HeldSet)
	if o.pairs++; o.pairs == 1 {
		c.held = heldWriter{} // each object is read by itself
	}
	before := len(o.plain)
	o.plain = c.held.append(o.plain, h)
	return c.grown(HeldSet, o, before)
}

func (c *creation) object(kind Kind) *object {
	if c.open[kind] == nil {
		c.open[kind] = &object{}
	}
	return c.open[kind]
}

func (c *creation) grown(kind Kind, o *object, before int) error {
	c.received += int64(len(o.plain) - before)
	c.cfg.Progress(c.received, c.stored)
	if len(o.plain) < objectBytes {
		return nil
	}
	return c.put(kind)
}

// put stores the open object of a kind, if there is one.
func (c *creation) put(kind Kind) error {
	o := c.open[kind]
	if o == nil || o.pairs == 0 {
		return nil
	}
	c.counts[kind]++
	packed := c.zip.EncodeAll(o.plain, nil)
	entry := Object{
		Name: fmt.Sprintf("%s-%06d", kind, c.counts[kind]), Kind: kind, Bytes: int64(len(packed)), Plain: int64(len(o.plain)),
		SHA256: digest(packed), Pairs: o.pairs, First: hex.EncodeToString(o.first), Last: hex.EncodeToString(o.last),
	}
	if err := c.bucket.Put(c.ctx, c.m.path(entry), packed); err != nil {
		return fmt.Errorf("write %s: %w", c.m.path(entry), err)
	}
	c.stored += entry.Bytes
	c.m.Objects = append(c.m.Objects, entry)
	*o = object{plain: o.plain[:0]}
	return nil
}

// heldTable returns the table of what the chain holds, as one.
func (c *Chain) heldTable(limit int) (table []byte, err error) {
	next := c.held()
	var w heldWriter
	for {
		h, err := next.next()
		if err == io.EOF {
			return table, next.close()
		}
		if err != nil {
			return nil, errors.Join(err, next.close())
		}
		if table = w.append(table, h); len(table) > limit {
			return nil, errors.Join(fmt.Errorf("its table of records is larger than %d bytes", limit), next.close())
		}
	}
}

// buffered is how objects are read.
func buffered(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 64<<10) }
