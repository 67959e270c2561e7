package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// SpaceConfig says which disk is watched and when it counts as full. The zero
// value of each field but Dir is the documented default.
type SpaceConfig struct {
	Dir  Dir  // on the disk
	Soft Mark // 10 % of the disk, at least 512 MiB, at most a quarter of it
	Hard Mark // 3 % of the disk, at least 256 MiB, at most an eighth of it

	BallastBytes int64 // 64 MiB, at most a 32nd of the disk; below 0: none

	// Owed is what the stores will take for what they have accepted already; nil:
	// nothing. It is called at each look.
	Owed func() int64
	// Changed is told of each change of the level, by OpenSpace and Run; nil: nobody.
	Changed func(Room)

	Log     *slog.Logger  // nil: discarded
	Metrics *SpaceMetrics // nil: not measured

	// Usage measures the disk of a directory; nil: asks the operating system.
	Usage func(dir string) (vfs.DiskUsage, error)
}

// Validate names the first field that cannot be used.
func (c SpaceConfig) Validate() error {
	if c.Dir == "" {
		return errors.New("storage: Dir of the space to watch is empty")
	}
	if err := c.Soft.validate(); err != nil {
		return fmt.Errorf("storage: Soft: %w", err)
	}
	if err := c.Hard.validate(); err != nil {
		return fmt.Errorf("storage: Hard: %w", err)
	}
	return nil
}

// Level tells how much room a disk has.
type Level uint8

const (
	Ample Level = iota // above the soft mark
	Low                // below it
	Full               // below the hard mark: nothing that grows may be written
)

func (l Level) String() string { return [...]string{"ok", "low", "full"}[l] }

// Room is what a look at the disk has found.
type Room struct {
	Level   Level
	Free    int64 // bytes, to anybody
	Total   int64
	Ballast int64 // that are held back
}

const (
	lookFar   = 100 * time.Millisecond // between looks while there is plenty,
	lookNear  = 20 * time.Millisecond  // and else
	plenty    = 2                      // times the soft mark
	makePause = time.Minute            // before the next attempt to make a ballast

	ballastPartOfHard = 2 // of the hard mark is left when the ballast is given up,
	mergePart         = 4 // and when compactions stop
)

// Space watches the disk of a data directory. It is told what will be written,
// not only what was: the level is judged by the room that is left when the
// stores have taken what they owe and the ballast is whole. So the hard mark is
// met before a write fails, and to drop the ballast does not look like space.
type Space struct {
	cfg     SpaceConfig
	ballast ballast

	mu      sync.Mutex // guards what follows
	room    Room
	blind   bool      // the last look failed
	retryAt time.Time // when a ballast may be made again
}

// OpenSpace looks at the disk for the first time. Call it before the stores are
// opened: on a full disk they need what the ballast held.
func OpenSpace(cfg SpaceConfig) (*Space, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Usage == nil {
		cfg.Usage = vfs.Default.GetDiskUsage
	}
	if cfg.Owed == nil {
		cfg.Owed = func() int64 { return 0 }
	}
	if cfg.Changed == nil {
		cfg.Changed = func(Room) {}
	}
	cfg.Log = orDiscard(cfg.Log)
	s := &Space{cfg: cfg, ballast: ballast{path: cfg.Dir.ballast()}}
	if _, err := cfg.Usage(string(cfg.Dir)); err != nil {
		return nil, fmt.Errorf("measure the disk of %s: %w", cfg.Dir, err)
	}
	s.look()
	return s, nil
}

// Room is what the last look has found.
func (s *Space) Room() Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room
}

// MayMerge tells whether there is space for what only needs it for a while. It
// looks anew: compactions write faster than Run looks.
func (s *Space) MayMerge() bool {
	usage, err := s.cfg.Usage(string(s.cfg.Dir))
	if err != nil {
		return false
	}
	m, left, _ := s.left(usage)
	return left >= m.hard/mergePart
}

// left is what is there for more data, and the marks to hold it against.
func (s *Space) left(usage vfs.DiskUsage) (m marks, left, held int64) {
	m, held = s.cfg.marks(int64(usage.TotalBytes)), s.ballast.held()
	return m, int64(usage.AvailBytes) - s.cfg.Owed() - (m.ballast - held), held
}

// Run looks at the disk until ctx ends.
func (s *Space) Run(ctx context.Context) error {
	for {
		timer := time.NewTimer(s.look())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// look measures, acts on it, and returns when to look again.
func (s *Space) look() time.Duration {
	usage, err := s.cfg.Usage(string(s.cfg.Dir))
	if err != nil {
		s.lostSight(err)
		return lookNear
	}
	marks, left, held := s.left(usage)
	before := s.Room().Level
	level := marks.level(before, left)
	switch {
	case left < marks.hard/ballastPartOfHard && held > 0:
		held = s.dropBallast(held, left)
	case level == Ample && held < marks.ballast:
		held = s.makeBallast(marks.ballast)
	}
	room := Room{Level: level, Free: int64(usage.AvailBytes), Total: int64(usage.TotalBytes), Ballast: held}
	s.mu.Lock()
	s.room, s.blind = room, false
	s.mu.Unlock()
	s.cfg.Metrics.observe(room)
	if level != before {
		s.tell(room, left)
		s.cfg.Changed(room)
	}
	if left > plenty*marks.soft {
		return lookFar
	}
	return lookNear
}

// lostSight says once that the disk cannot be measured; the level stays.
func (s *Space) lostSight(err error) {
	s.mu.Lock()
	was := s.blind
	s.blind = true
	s.mu.Unlock()
	if !was {
		s.cfg.Log.Warn("free disk space cannot be measured", "dir", s.cfg.Dir, "err", err)
	}
}

func (s *Space) tell(r Room, left int64) {
	facts := []any{"dir", s.cfg.Dir, "left_bytes", left, "free_bytes", r.Free, "total_bytes", r.Total}
	switch r.Level {
	case Full:
		s.cfg.Log.Error("disk full: the cluster takes no more data until space is freed", facts...)
	case Low:
		s.cfg.Log.Warn("disk space is low", facts...)
	default:
		s.cfg.Log.Info("disk space is ample again", facts...)
	}
}

// dropBallast gives the stores the space that was held back for this: what is
// still let through, and the compactions that make deleted data go away.
func (s *Space) dropBallast(held, left int64) int64 {
	if err := s.ballast.drop(); err != nil {
		s.cfg.Log.Warn("ballast not dropped", "file", s.ballast.path, "err", err)
		return held
	}
	s.cfg.Log.Warn("ballast dropped to keep this node going; it is made again when there is space", "file", s.ballast.path, "bytes", held, "left_bytes", left)
	return 0
}

func (s *Space) makeBallast(size int64) int64 {
	s.mu.Lock()
	early := time.Now().Before(s.retryAt)
	s.mu.Unlock()
	if early {
		return s.ballast.held()
	}
	if err := s.ballast.make(size); err != nil {
		s.cfg.Log.Warn("ballast not made", "file", s.ballast.path, "bytes", size, "err", err)
		s.mu.Lock()
		s.retryAt = time.Now().Add(makePause)
		s.mu.Unlock()
	}
	return s.ballast.held()
}
