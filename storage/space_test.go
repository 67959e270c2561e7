package storage

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

const mib = int64(1 << 20)

// fakeDisk has as much space as it is told, less what the ballast takes.
type fakeDisk struct {
	t     *testing.T
	dir   Dir
	mu    sync.Mutex
	total int64
	free  int64 // without a ballast
	owed  int64
	err   error
	seen  []Level
}

func newFakeDisk(t *testing.T, total, free int64) *fakeDisk {
	return &fakeDisk{t: t, dir: Dir(t.TempDir()), total: total, free: free}
}

func (d *fakeDisk) set(fn func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fn()
}

func (d *fakeDisk) usage(string) (vfs.DiskUsage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	held := ballast{d.dir.ballast()}.held()
	return vfs.DiskUsage{TotalBytes: uint64(d.total), AvailBytes: uint64(max(0, d.free-held))}, d.err
}

func (d *fakeDisk) config() SpaceConfig {
	return SpaceConfig{
		Dir: d.dir, Usage: d.usage,
		Owed:    func() int64 { d.mu.Lock(); defer d.mu.Unlock(); return d.owed },
		Changed: func(r Room) { d.mu.Lock(); defer d.mu.Unlock(); d.seen = append(d.seen, r.Level) },
	}
}

func (d *fakeDisk) open() *Space {
	d.t.Helper()
	s, err := OpenSpace(d.config())
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

func TestMarksFitTheDisk(t *testing.T) {
	const gib = 1 << 10 * mib
	for name, test := range map[string]struct {
		cfg   SpaceConfig
		total int64
		want  marks
	}{
		"tiny":           {total: 64 * mib, want: marks{16 * mib, 8 * mib, 2 * mib}},
		"small":          {total: 512 * mib, want: marks{128 * mib, 64 * mib, 16 * mib}},
		"some gigabytes": {total: 8 * gib, want: marks{8 * gib / 10, 256 * mib, 64 * mib}},
		"large":          {total: 1000 * gib, want: marks{100 * gib, 30 * gib, 64 * mib}},
		"given in bytes": {cfg: SpaceConfig{Soft: Mark{Bytes: 9 * mib}, Hard: Mark{Bytes: 5 * mib}, BallastBytes: mib}, total: gib, want: marks{9 * mib, 5 * mib, mib}},
		"given in parts": {cfg: SpaceConfig{Soft: Mark{Percent: 50}, Hard: Mark{Percent: 25}, BallastBytes: -1}, total: gib, want: marks{gib / 2, gib / 4, 0}},
		"soft below":     {cfg: SpaceConfig{Soft: Mark{Bytes: mib}, Hard: Mark{Bytes: 5 * mib}}, total: 512 * mib, want: marks{5 * mib, 5 * mib, 16 * mib}},
		"large ballast":  {cfg: SpaceConfig{BallastBytes: gib}, total: 512 * mib, want: marks{128 * mib, 64 * mib, 16 * mib}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.cfg.marks(test.total); got != test.want {
				t.Fatalf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestLevelsHaveHysteresis(t *testing.T) {
	m := marks{soft: 200, hard: 100}
	now := Ample
	for i, step := range []struct {
		left int64
		want Level
	}{{200, Ample}, {199, Low}, {224, Low}, {225, Ample}, {150, Low}, {100, Low}, {99, Full}, {124, Full}, {125, Low}, {99, Full}, {1000, Ample}, {-5, Full}, {124, Full}, {210, Low}} {
		if now = m.level(now, step.left); now != step.want {
			t.Fatalf("step %d, %d left: got %v, want %v", i, step.left, now, step.want)
		}
	}
}

func TestMarksThatMakeNoSenseAreRefused(t *testing.T) {
	for name, m := range map[string]Mark{"both": {Bytes: 1, Percent: 1}, "all of it": {Percent: 100}, "negative": {Bytes: -1}} {
		t.Run(name, func(t *testing.T) {
			d := newFakeDisk(t, 512*mib, 512*mib)
			cfg := d.config()
			cfg.Hard = m
			if _, err := OpenSpace(cfg); err == nil {
				t.Fatal("accepted")
			}
		})
	}
}

// What the stores hold in memory, or take at once, is as good as written.
func TestWhatIsOwedCountsAsUsed(t *testing.T) {
	d := newFakeDisk(t, 512*mib, 200*mib)
	s := d.open()
	if got := s.Room().Level; got != Ample {
		t.Fatalf("got %v with 200 MiB left", got)
	}
	d.set(func() { d.owed = 137 * mib })
	s.look()
	if got := s.Room().Level; got != Full {
		t.Fatalf("got %v with 63 MiB left of which 137 are owed", got)
	}
}

func TestBallastIsRealAndGivenUpOnlyInNeed(t *testing.T) {
	d := newFakeDisk(t, 512*mib, 300*mib)
	s := d.open()
	if got := takenBy(t, string(d.dir)); got != 16*mib || s.Room().Ballast != 16*mib {
		t.Fatalf("got a ballast of %d bytes on disk, %+v", got, s.Room())
	}
	for i, step := range []struct {
		free  int64
		level Level
		held  int64
	}{
		{70 * mib, Low, 16 * mib}, // 54 are free to others, and 16 are held: 54 are left
		{60 * mib, Full, 16 * mib},
		{47 * mib, Full, 0}, // 31 are left, less than half of the mark
		{95 * mib, Full, 0}, // it is not taken for space that was freed
		{96 * mib, Low, 0},  // 80 are left
		{159 * mib, Low, 0}, // not made while there is little
		{300 * mib, Ample, 16 * mib},
	} {
		if i == 0 {
			step.free += 16 * mib
		}
		d.set(func() { d.free = step.free })
		s.look()
		if got := s.Room(); got.Level != step.level || got.Ballast != step.held {
			t.Fatalf("step %d, %d MiB free: got %+v, want %v with a ballast of %d", i, step.free/mib, got, step.level, step.held)
		}
	}
	want := []Level{Low, Full, Low, Ample}
	if len(d.seen) != len(want) {
		t.Fatalf("got changes %v, want %v", d.seen, want)
	}
	for i := range want {
		if d.seen[i] != want[i] {
			t.Fatalf("got changes %v, want %v", d.seen, want)
		}
	}
}

// A node whose disk was filled while it was away needs the ballast to start.
func TestBallastIsGivenUpAtTheStart(t *testing.T) {
	d := newFakeDisk(t, 512*mib, 300*mib)
	d.open()
	d.set(func() { d.free = 17 * mib })
	s := d.open()
	if got := s.Room(); got.Level != Full || got.Ballast != 0 || takenBy(t, string(d.dir)) != 0 {
		t.Fatalf("got %+v", got)
	}
}

func TestRemovedBallastIsMadeAgain(t *testing.T) {
	d := newFakeDisk(t, 512*mib, 300*mib)
	s := d.open()
	if err := os.Remove(d.dir.ballast()); err != nil {
		t.Fatal(err)
	}
	s.look()
	if got := s.Room().Ballast; got != 16*mib {
		t.Fatalf("got a ballast of %d bytes", got)
	}
}

func TestBallastThatCannotBeMadeIsTriedAgainLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk(t, 512*mib, 300*mib)
		blocked := d.dir.ballast()
		if err := unix.Mkdir(blocked, 0o755); err != nil { // nothing can be written under this name
			t.Fatal(err)
		}
		s := d.open()
		if s.Room().Level != Ample {
			t.Fatalf("got %+v", s.Room())
		}
		if err := os.RemoveAll(blocked); err != nil {
			t.Fatal(err)
		}
		s.look()
		if got := s.Room().Ballast; got != 0 {
			t.Fatalf("got a ballast of %d bytes at once", got)
		}
		time.Sleep(makePause)
		s.look()
		if got := s.Room().Ballast; got != 16*mib {
			t.Fatalf("got a ballast of %d bytes after a pause", got)
		}
	})
}

// Run looks all the time, more often when there is little, and keeps the level
// while it cannot see.
func TestRunWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDisk(t, 512*mib, 500*mib)
		s := d.open()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		for i, step := range []struct {
			free  int64
			err   error
			after time.Duration
			want  Level
		}{
			{200 * mib, nil, lookFar, Ample},
			{60 * mib, nil, lookNear, Full},
			{500 * mib, errors.New("no such device"), time.Second, Full},
			{500 * mib, nil, lookNear, Ample},
		} {
			d.set(func() { d.free, d.err = step.free, step.err })
			time.Sleep(step.after)
			synctest.Wait()
			if got := s.Room().Level; got != step.want {
				t.Fatalf("step %d: got %v, want %v", i, got, step.want)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}
