package backup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"mainstem/storage"
)

// A node's answer is a run of frames:
//
//	kind 1 | length 4 | content | CRC-32C 4, over all before it
//
// a header first, an end last, and in between pairs and tables of what is held,
// as they come. An answer without an end is not complete.
const (
	frameHeader = 'H' // Header as JSON
	framePairs  = 'P' // pairs, one after the other
	frameHeld   = 'T' // a part of the table, which begins in the first and goes on in the next
	frameEnd    = 'E' // Totals as JSON
	frameFailed = 'F' // a sentence, in place of what was to come

	frameBytes    = 256 << 10 // a frame is sent when it has reached them
	frameBytesMax = 2*pairPartMax + frameBytes + 64
)

// WireVersion is that of frames, pairs and tables, on the way and in objects.
const WireVersion = 1

// BaseBytesMax bounds what a node is told of a base: some millions of streams.
const BaseBytesMax = 32 << 20

// Header says what a node is about to hand out.
type Header struct {
	Wire      int       `json:"wire"` // WireVersion
	ClusterID string    `json:"cluster_id"`
	NodeID    string    `json:"node_id"`
	Version   string    `json:"version"` // of the program
	Index     uint64    `json:"index"`   // of the last entry of the log in the copy
	Term      uint64    `json:"term"`
	TakenAt   time.Time `json:"taken_at"` // by the node's clock
	Since     uint64    `json:"since"`    // the index of the base; 0 for all
}

// Totals is what was handed out.
type Totals struct {
	Pairs uint64 `json:"pairs"`
	Bytes uint64 `json:"bytes"` // of keys and values
	Held  uint64 `json:"held"`  // incarnations
}

var crcTable = crc32.MakeTable(crc32.Castagnoli)

// Send hands out a view: all of it, or, with the table of a base, all but the
// records that the base has.
func Send(ctx context.Context, to io.Writer, h Header, view *storage.View, base []byte) error {
	h.Wire = WireVersion
	s := &sender{to: to}
	if err := s.document(frameHeader, h); err != nil {
		return err
	}
	table := &heldReader{r: bufio.NewReader(bytes.NewReader(base))}
	cursor := heldCursor{next: table.next}
	var wrong error
	err := view.Export(ctx, func(incarnation uint64) (uint64, bool) {
		known, ok, err := cursor.find(incarnation)
		if err != nil {
			wrong = err
		}
		return known.Last, ok && err == nil
	}, s)
	if err := errors.Join(err, wrong); err != nil {
		told := []byte(err.Error())
		return errors.Join(fmt.Errorf("hand out the copy: %w", err), s.flush(frameFailed, &told))
	}
	if err := errors.Join(s.flush(framePairs, &s.pairs), s.flush(frameHeld, &s.table)); err != nil {
		return err
	}
	return s.document(frameEnd, s.totals)
}

// sender is the storage.Export of Send.
type sender struct {
	to     io.Writer
	pairs  []byte
	table  []byte
	held   heldWriter
	totals Totals
}

func (s *sender) Pair(key, value []byte) error {
	s.pairs = appendPair(s.pairs, key, value)
	s.totals.Pairs++
	s.totals.Bytes += uint64(len(key) + len(value))
	if len(s.pairs) < frameBytes {
		return nil
	}
	return s.flush(framePairs, &s.pairs)
}

func (s *sender) Held(h storage.Held) error {
	s.table = s.held.append(s.table, h)
	s.totals.Held++
	if len(s.table) < frameBytes {
		return nil
	}
	return s.flush(frameHeld, &s.table)
}

func (s *sender) document(kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a frame: %w", err)
	}
	return s.flush(kind, &b)
}

func (s *sender) flush(kind byte, content *[]byte) error {
	b := *content
	if len(b) == 0 {
		return nil
	}
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(b)))
	sum := crc32.Update(crc32.Update(0, crcTable, head), crcTable, b)
	for _, part := range [][]byte{head, b, binary.BigEndian.AppendUint32(nil, sum)} {
		if _, err := s.to.Write(part); err != nil {
			return fmt.Errorf("send a backup: %w", err)
		}
	}
	*content = b[:0]
	return nil
}

// receiver takes what Send hands out.
type receiver struct {
	header func(Header) error
	pair   func(key, value []byte) error
	held   func(storage.Held) error
}

// errIncomplete is for an answer that ends before its end: the node stopped, or
// the way broke.
var errIncomplete = errors.New("the node's answer broke off")

func (v receiver) receive(from io.Reader) (totals Totals, err error) {
	r := bufio.NewReaderSize(from, 64<<10)
	var buf []byte
	table := heldReader{}
	for first := true; ; first = false {
		kind, content, err := readFrame(r, buf)
		if err != nil {
			return totals, err
		}
		buf = content
		if first != (kind == frameHeader) {
			return totals, fmt.Errorf("the answer is no backup: a frame of kind %q", kind)
		}
		switch kind {
		case frameHeader:
			err = v.readHeader(content)
		case framePairs:
			err = v.readPairs(content, &totals)
		case frameHeld:
			table.r = bufio.NewReader(bytes.NewReader(content))
			err = v.readHeld(&table, &totals)
		case frameEnd:
			return totals, finish(content, totals)
		case frameFailed:
			err = fmt.Errorf("the node cannot go on: %s", content)
		default:
			err = fmt.Errorf("a frame of kind %q is unknown to this version; use the version of the node", kind)
		}
		if err != nil {
			return totals, err
		}
	}
}

// finish compares what came with what the node says it sent.
func finish(content []byte, got Totals) error {
	var sent Totals
	if err := json.Unmarshal(content, &sent); err != nil {
		return fmt.Errorf("read the end of the answer: %w", err)
	}
	if got != sent {
		return fmt.Errorf("%w: got %+v of %+v", errIncomplete, got, sent)
	}
	return nil
}

func readFrame(r *bufio.Reader, buf []byte) (kind byte, content []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, fmt.Errorf("%w: %w", errIncomplete, err)
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > frameBytesMax {
		return 0, nil, fmt.Errorf("a frame of %d bytes is longer than any; this is no backup", n)
	}
	if uint32(cap(buf)) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	var sum [4]byte
	for _, part := range [][]byte{buf, sum[:]} {
		if _, err := io.ReadFull(r, part); err != nil {
			return 0, nil, fmt.Errorf("%w: %w", errIncomplete, err)
		}
	}
	if crc32.Update(crc32.Update(0, crcTable, head[:]), crcTable, buf) != binary.BigEndian.Uint32(sum[:]) {
		return 0, nil, errors.New("a frame has a wrong checksum: it was damaged on the way")
	}
	return head[0], buf, nil
}

func (v receiver) readHeader(content []byte) error {
	var h Header
	if err := json.Unmarshal(content, &h); err != nil {
		return fmt.Errorf("read the header of the answer: %w", err)
	}
	if h.Wire > WireVersion {
		return fmt.Errorf("the node hands out version %d and this program reads %d: %w; use the version of the node", h.Wire, WireVersion, storage.ErrNewerFormat)
	}
	return v.header(h)
}

func (v receiver) readPairs(content []byte, totals *Totals) error {
	p := pairReader{r: bufio.NewReader(bytes.NewReader(content))}
	for {
		key, value, err := p.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		totals.Pairs++
		totals.Bytes += uint64(len(key) + len(value))
		if err := v.pair(key, value); err != nil {
			return err
		}
	}
}

func (v receiver) readHeld(table *heldReader, totals *Totals) error {
	for {
		h, err := table.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		totals.Held++
		if err := v.held(h); err != nil {
			return err
		}
	}
}
