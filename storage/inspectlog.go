package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// LogInspection is what a raft log holds.
type LogInspection struct {
	Kind               string // "" for no log
	First, Last        uint64
	LastTerm           uint64
	Configuration      *raft.Configuration // the last in the log, nil for none
	ConfigurationIndex uint64
}

// log reads every record of the raft log, without the libraries that keep it:
// they repair as they open.
func (i *inspector) log() error {
	m := &logMeta{fs: vfs.Default, path: filepath.Join(i.dir.Log(), logMetaFile)}
	_, err := readSealedUpTo(m.fs, m.path, recordVersion, &m.state)
	if oserror.IsNotExist(err) {
		return checkNoLog(i.dir.Log(), m.path)
	}
	if err != nil {
		return err
	}
	i.found.Log.Kind = m.state.Kind
	r := &logReader{inspector: i, meta: m, id: m.id(), total: sizeOf(i.dir.Log())}
	if m.state.Kind == LogWAL {
		err = r.segments()
	} else {
		err = r.bolt()
	}
	if err != nil {
		return err
	}
	return (&Log{cfg: LogConfig{Dir: i.dir.Log()}, meta: m, inner: inspected{i.found.Log}}).checkReach()
}

func checkNoLog(dir, meta string) error {
	names, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range names {
		if isLogFile(name.Name()) {
			return corrupt(meta, "it is missing beside %s", name.Name())
		}
	}
	return nil
}

// inspected lets checkReach ask a log that is not open where it ends.
type inspected struct{ log LogInspection }

func (l inspected) FirstIndex() (uint64, error)      { return l.log.First, nil }
func (l inspected) LastIndex() (uint64, error)       { return l.log.Last, nil }
func (l inspected) GetLog(uint64, *raft.Log) error   { return raft.ErrLogNotFound }
func (l inspected) StoreLog(*raft.Log) error         { return ErrClosed }
func (l inspected) StoreLogs([]*raft.Log) error      { return ErrClosed }
func (l inspected) DeleteRange(uint64, uint64) error { return ErrClosed }
func (l inspected) Close() error                     { return nil }

type logReader struct {
	*inspector
	meta        *logMeta
	id          recordID
	done, total int64
}

// note takes the next entry.
func (r *logReader) note(entry *raft.Log, want uint64, path string) error {
	if entry.Index != want {
		return corrupt(path, "entry %d lies in the place of entry %d", entry.Index, want)
	}
	l := &r.found.Log
	if l.First == 0 {
		l.First = want
	}
	if entry.Term < l.LastTerm {
		return corrupt(path, "entry %d is of term %d and the one before of term %d", want, entry.Term, l.LastTerm)
	}
	l.Last, l.LastTerm = entry.Index, entry.Term
	if entry.Type != raft.LogConfiguration {
		return nil
	}
	c, err := decodeConfiguration(entry.Data)
	if err != nil {
		return corrupt(path, "entry %d: %v", want, err)
	}
	l.Configuration, l.ConfigurationIndex = &c, want
	return nil
}

// decodeConfiguration: raft panics over bytes that are none.
func decodeConfiguration(b []byte) (c raft.Configuration, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it is no configuration: %v", r)
		}
	}()
	return raft.DecodeConfiguration(b), nil
}

func (r *logReader) segments() error {
	next := uint64(0)
	for _, info := range r.meta.state.WAL.Segments {
		if next != 0 && info.MinIndex != next {
			return corrupt(r.meta.path, "it names entries up to %d and then from %d", next-1, info.MinIndex)
		}
		last, err := r.segment(info)
		if err != nil {
			return err
		}
		next = last + 1
	}
	return nil
}

// segment reads the entries of one file and returns the last index.
func (r *logReader) segment(info types.SegmentInfo) (last uint64, err error) {
	path := filepath.Join(r.dir.Log(), segment.FileName(info))
	sealed := !info.SealTime.IsZero()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !sealed {
		return info.MinIndex - 1, nil // not made yet, or lost: checkReach tells
	}
	if errors.Is(err, fs.ErrNotExist) {
		return 0, corrupt(path, "the segment is missing")
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	scan, size, err := scanFile(f)
	if err != nil {
		return 0, fmt.Errorf("scan segment %s: %w", path, err)
	}
	last = info.BaseIndex + uint64(len(scan.offsets)) - 1
	switch {
	case sealed && last < info.MaxIndex:
		return 0, corrupt(path, "entry %d does not check", last+1)
	case sealed:
		last = info.MaxIndex
		err = checkIndex(f, path, info, scan)
	default:
		err = r.tail(f, path, scan, size, last)
	}
	if err != nil {
		return 0, err
	}
	for index := info.MinIndex; index <= last; index++ {
		var entry raft.Log
		n, err := readRecord(f, scan.offsets[index-info.BaseIndex], r.id, &entry)
		if err != nil {
			return 0, corrupt(path, "entry %d: %v", index, err)
		}
		if err := r.note(&entry, index, path); err != nil {
			return 0, err
		}
		r.done += n
		r.read(PartLog, n, r.done, r.total)
	}
	return last, nil
}

// tail looks behind the last good commit: at damage in what was acknowledged, or
// at what a crash left.
func (r *logReader) tail(f *os.File, path string, scan segmentScan, size int64, last uint64) error {
	later, err := findLater(f, scan.end, size, r.id, last)
	if err != nil {
		return fmt.Errorf("scan segment %s: %w", path, err)
	}
	if later != 0 {
		return corrupt(path, "entry %d does not check and entry %d, written later, does", last+1, later)
	}
	if scan.torn {
		r.found.Torn = fmt.Sprintf("%s: the last write, after entry %d, does not check: a crash came in the midst of it, or its bytes were damaged", path, last)
	}
	return nil
}

// checkIndex compares the index that a sealed segment ends with, by which
// raft-wal finds entries, with where they are.
func checkIndex(f *os.File, path string, info types.SegmentInfo, scan segmentScan) error {
	if info.IndexStart == 0 {
		return nil // it has none, and is given one at the next start
	}
	n := info.MaxIndex - info.BaseIndex + 1
	b := make([]byte, 4*n)
	if _, err := f.ReadAt(b, int64(info.IndexStart)); err != nil {
		return corrupt(path, "its index cannot be read: %v", err)
	}
	for i := range n {
		if got := uint32(b[4*i]) | uint32(b[4*i+1])<<8 | uint32(b[4*i+2])<<16 | uint32(b[4*i+3])<<24; got != scan.offsets[i] {
			return corrupt(path, "its index is wrong about entry %d", info.BaseIndex+i)
		}
	}
	return nil
}

// readRecord reads the entry frame at an offset, which a scan has found good.
func readRecord(f *os.File, offset uint32, id recordID, entry *raft.Log) (n int64, err error) {
	var header [segmentFrameHeader]byte
	if _, err := f.ReadAt(header[:], int64(offset)); err != nil {
		return 0, err
	}
	n = int64(uint32(header[4]) | uint32(header[5])<<8 | uint32(header[6])<<16 | uint32(header[7])<<24)
	if n > segment.MaxEntrySize {
		return 0, fmt.Errorf("%w: %d bytes", errRecord, n)
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, int64(offset)+segmentFrameHeader); err != nil {
		return 0, err
	}
	return n, decodeRecord(b, id, entry)
}

func (r *logReader) bolt() (err error) {
	path := filepath.Join(r.dir.Log(), boltLogFile)
	store, err := openBoltToRead(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	log := &boltLog{BoltStore: store, path: path, codec: &recordCodec{id: r.id}}
	first, err := log.FirstIndex()
	if err != nil {
		return err
	}
	last, err := log.LastIndex()
	if err != nil {
		return err
	}
	for index := max(first, 1); index <= last; index++ {
		var entry raft.Log
		if err := log.GetLog(index, &entry); err != nil {
			return corrupt(path, "entry %d: %v", index, err)
		}
		if err := r.note(&entry, index, path); err != nil {
			return err
		}
		r.done += int64(len(entry.Data))
		r.read(PartLog, int64(len(entry.Data)), r.done, r.total)
	}
	return nil
}

// sizeOf adds up the files of a directory. It serves to tell progress.
func sizeOf(dir string) (n int64) {
	names, _ := os.ReadDir(dir)
	for _, name := range names {
		if info, err := name.Info(); err == nil && !info.IsDir() {
			n += info.Size()
		}
	}
	return n
}
