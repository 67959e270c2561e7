package backup

import (
	"bytes"
	"errors"
	"fmt"

	"mainstem/storage"
	"mainstem/stream"
)

// Stream is a stream of a backup.
type Stream struct {
	Name  stream.Name
	State stream.State
}

// Streams hands out the streams whose name matches, in the order of their names.
// Those that are kept for their forks only are left out.
func (c *Chain) Streams(match func(stream.Name) bool, take func(Stream) error) error {
	from, until := storage.StreamKeys()
	s, err := c.newPairObjects(c.Manifest(), State, from, until)
	if err != nil {
		return err
	}
	for s.key != nil {
		name, ok := storage.ParseStreamKey(s.key)
		if !ok {
			return errors.Join(damaged(c.Manifest().ID, "key %x is no stream's", s.key), s.close())
		}
		if match(stream.Name(name)) {
			state, err := stream.DecodeState(s.value)
			if err != nil {
				return errors.Join(damaged(c.Manifest().ID, "the state of stream %q: %v", name, err), s.close())
			}
			if !state.Deleted {
				if err := take(Stream{stream.Name(name), state}); err != nil {
					return errors.Join(err, s.close())
				}
			}
		}
		if err := s.next(); err != nil {
			return errors.Join(err, s.close())
		}
	}
	return s.close()
}

// Read hands out what a stream holds, append by append; what a fork has inherited
// comes first, as if it were its own. data is valid during the call.
func (c *Chain) Read(s Stream, take func(data []byte) error) error {
	for pos := s.State.Start().Pos; pos < s.State.Pos; {
		owner, end := s.State.Owner(pos)
		reached, err := c.readRun(owner, pos, end, take)
		if err != nil {
			return fmt.Errorf("stream %s: %w", s.Name, err)
		}
		if reached != end {
			return fmt.Errorf("stream %s: %w", s.Name, damaged(c.Manifest().ID, "records of incarnation %d are missing from position %d to %d", owner, reached, end))
		}
		pos = end
	}
	return nil
}

// readRun reads what lies under one incarnation between two ends of appends.
func (c *Chain) readRun(incarnation, from, to uint64, take func([]byte) error) (reached uint64, err error) {
	var sources []*pairObjects
	defer func() {
		for _, s := range sources {
			err = errors.Join(err, s.close())
		}
	}()
	before, after := storage.RecordKeys(incarnation)
	for _, m := range c.backups {
		s, err := c.newPairObjects(m, Records, before, after)
		if err != nil {
			return 0, err
		}
		sources = append(sources, s)
	}
	for pos := from; ; {
		s := least(sources)
		if s == nil || pos == to {
			return pos, nil
		}
		_, start, _ := storage.ParseRecordKey(s.key)
		r, err := stream.ParseRecord(start, s.value)
		if err != nil {
			return pos, damaged(s.m.ID, "the record of incarnation %d at %d: %v", incarnation, start, err)
		}
		if start <= pos && pos < r.End() {
			var failed error
			r.Each(func(begin, end uint64, _ stream.Time) bool {
				if begin < pos || end > to {
					return end <= to
				}
				failed = take(r.Slice(begin, end))
				pos = end
				return failed == nil
			})
			if failed != nil {
				return pos, failed
			}
		}
		if err := s.next(); err != nil {
			return pos, err
		}
	}
}

// Batches joins appends to such of about limit bytes, each with what belongs
// together.
func Batches(limit int, send func(data []byte) error) (take func([]byte) error, finish func() error) {
	var b bytes.Buffer
	finish = func() error {
		if b.Len() == 0 {
			return nil
		}
		err := send(b.Bytes())
		b.Reset()
		return err
	}
	take = func(data []byte) error {
		if b.Len() > 0 && b.Len()+len(data) > limit {
			if err := finish(); err != nil {
				return err
			}
		}
		_, err := b.Write(data) // which never fails
		return err
	}
	return take, finish
}
