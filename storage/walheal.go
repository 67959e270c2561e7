package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// healWAL looks at the segments before raft-wal opens them, for what raft-wal
// v0.4.0 takes for granted or leaves undone:
//   - it ends the tail segment in silence at the first frame or last commit that
//     does not check: damage in acknowledged entries is an error here;
//   - it cannot write to a tail that was sealed by the last write before a crash
//     in mid-rotation: the rotation is completed;
//   - it cannot read, after a restart, a segment whose end was cut off while it
//     was the tail, for want of an index block: the block is written.
//
// files learns how far the tail was written.
func healWAL(m *logMeta, dir string, segmentBytes int, log *slog.Logger, files *walFiles) error {
	state, _ := m.Load(dir)
	segments := append([]types.SegmentInfo(nil), state.Segments...)
	changed := false
	for i := range segments {
		info := &segments[i]
		path := filepath.Join(dir, segment.FileName(*info))
		switch {
		case info.SealTime.IsZero():
			sealed, end, err := healTail(path, info, m.id(), log)
			if err != nil {
				return err
			}
			files.reaches(segment.FileName(*info), end)
			changed = changed || sealed
		case info.IndexStart == 0:
			if err := writeIndex(path, info); err != nil {
				return err
			}
			changed = true
		}
	}
	if !changed {
		return nil
	}
	state.Segments = segments
	if last := segments[len(segments)-1]; !last.SealTime.IsZero() {
		state = withTail(state, last, segmentBytes)
	}
	return m.CommitState(state)
}

// healTail checks the unsealed segment and reports whether it is sealed in
// truth, and marked so in info, and where its last commit ends.
func healTail(path string, info *types.SegmentInfo, id recordID, log *slog.Logger) (sealed bool, end int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, 0, nil // not made yet, or lost: the floor will tell
	}
	if err != nil {
		return false, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	scan, size, err := scanFile(f)
	if err != nil {
		return false, 0, fmt.Errorf("scan segment %s: %w", path, err)
	}
	last := info.BaseIndex + uint64(len(scan.offsets)) - 1
	later, err := findLater(f, scan.end, size, id, last)
	if err != nil {
		return false, 0, fmt.Errorf("scan segment %s: %w", path, err)
	}
	if later != 0 {
		return false, 0, corrupt(path, "entry %d does not check and entry %d, written later, does", last+1, later)
	}
	if scan.torn {
		log.Warn("the last write to the raft log does not check and is left out, as after a power cut", "file", path, "last_index", last)
		if err := cutFrames(f, scan.end); err != nil {
			return false, 0, fmt.Errorf("cut segment %s: %w", path, err)
		}
	}
	if scan.indexStart == 0 {
		return false, scan.end, nil
	}
	info.SealTime = time.Now()
	info.MaxIndex = last
	info.IndexStart = scan.indexStart
	return true, scan.end, nil
}

// cutFrames makes raft-wal stop where the scan stopped: a torn index frame would
// make it take the segment for a sealed one.
func cutFrames(f *os.File, end int64) error {
	at := max(end, segmentHeaderLen)
	if _, err := f.WriteAt(make([]byte, segmentFrameHeader), at); err != nil {
		return err
	}
	return f.Sync()
}

// writeIndex gives a sealed segment the index block that its sealing left out.
func writeIndex(path string, info *types.SegmentInfo) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return corrupt(path, "the segment is missing")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	scan, _, err := scanFile(f)
	if err != nil {
		return fmt.Errorf("scan segment %s: %w", path, err)
	}
	if last := info.BaseIndex + uint64(len(scan.offsets)) - 1; last < info.MaxIndex {
		return corrupt(path, "entry %d does not check", last+1)
	}
	index := make([]byte, 0, 4*len(scan.offsets))
	for _, offset := range scan.offsets {
		index = binary.LittleEndian.AppendUint32(index, offset)
	}
	if _, err := f.WriteAt(index, scan.end); err != nil {
		return fmt.Errorf("index segment %s: %w", path, err)
	}
	if err := f.Truncate(scan.end + int64(len(index))); err != nil { // what it was given and did not use
		return fmt.Errorf("cut segment %s: %w", path, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("index segment %s: %w", path, err)
	}
	info.IndexStart = uint64(scan.end)
	return nil
}

func scanFile(f *os.File) (s segmentScan, size int64, err error) {
	stat, err := f.Stat()
	if err != nil {
		return s, 0, err
	}
	s, err = scanSegment(f, stat.Size())
	return s, stat.Size(), err
}

// withTail adds the empty segment that follows a sealed one. raft-wal makes its
// file.
func withTail(s types.PersistentState, last types.SegmentInfo, segmentBytes int) types.PersistentState {
	next := last.MaxIndex + 1
	s.Segments = append(s.Segments, types.SegmentInfo{
		ID:         s.NextSegmentID,
		BaseIndex:  next,
		MinIndex:   next,
		SizeLimit:  uint32(segmentBytes),
		Codec:      codecID,
		CreateTime: time.Now(),
	})
	s.NextSegmentID++
	return s
}
