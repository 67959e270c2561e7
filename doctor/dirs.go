package doctor

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Free space in a directory that is looked at, in parts of the disk.
const (
	dirWarnPercent = 10
	dirBadPercent  = 3
)

// Dir is what was seen of a data directory on this machine.
type Dir struct {
	Path        string
	Free, Total uint64
	Fsync       *hdrhistogram.Histogram // nil: there was no room for it
	Damage      error
	Err         error // nothing is known
}

// dirChecks are about data directories on this machine.
func dirChecks() []check {
	return []check{
		{name: "data directory", look: lookDirs,
			why: "a node keeps all it has there, and acknowledges nothing faster than that disk",
			do:  "free space on it, or use a faster disk; for damage: mainstem recover refill"},
	}
}

func lookDirs(x Examination) (spots []spot) {
	for _, d := range x.Dirs {
		if d.Err != nil {
			spots = append(spots, spot{Bad, "", fmt.Sprintf("%s could not be looked at: %v", d.Path, d.Err)})
			continue
		}
		if d.Damage != nil {
			spots = append(spots, spot{Bad, "", fmt.Sprintf("%s: %v", d.Path, d.Damage)})
		}
		percent := 100 * d.Free / max(1, d.Total)
		space := spot{OK, "", fmt.Sprintf("%s: %d%% of the disk is free", d.Path, percent)}
		switch {
		case percent < dirBadPercent:
			space.level = Bad
		case percent < dirWarnPercent:
			space.level = Warn
		}
		spots = append(spots, space)
		if d.Fsync != nil {
			spots = append(spots, spotOfFsync(d))
		}
	}
	return spots
}

func spotOfFsync(d Dir) spot {
	sentence, ok := JudgeFsync(d.Fsync)
	s := spot{OK, "", fmt.Sprintf("%s: the disk is %s", d.Path, sentence)}
	switch p99 := time.Duration(d.Fsync.ValueAtQuantile(99)) * time.Microsecond; {
	case !ok:
		s.level = Bad
	case p99 > fsyncGood:
		s.level = Warn
	}
	return s
}
