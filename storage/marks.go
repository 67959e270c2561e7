package storage

import "fmt"

// Mark is an amount of free space: a number of bytes or a share of the disk. The
// zero value means the default of the field it is in.
type Mark struct {
	Bytes   int64
	Percent float64
}

func (m Mark) validate() error {
	if m.Bytes < 0 || m.Percent < 0 || m.Percent >= 100 || m.Bytes > 0 && m.Percent > 0 {
		return fmt.Errorf("%d bytes and %g %% of the disk; use one of them, and less than 100 %%", m.Bytes, m.Percent)
	}
	return nil
}

// on is the mark in bytes, or std when none was set.
func (m Mark) on(total, std int64) int64 {
	switch {
	case m.Bytes > 0:
		return m.Bytes
	case m.Percent > 0:
		return int64(float64(total) * m.Percent / 100)
	}
	return std
}

// marks are those of one disk, in bytes.
type marks struct{ soft, hard, ballast int64 }

const (
	softPercent, hardPercent = 10, 3
	softLeast, hardLeast     = 512 << 20, 256 << 20
	softPart, hardPart       = 4, 8 // of the disk, at most
	ballastBytes             = 64 << 20
	ballastPart              = 32
)

// marks follows the size of the disk, which may be grown while it is in use.
func (c SpaceConfig) marks(total int64) marks {
	m := marks{
		soft: c.Soft.on(total, min(max(total*softPercent/100, softLeast), total/softPart)),
		hard: c.Hard.on(total, min(max(total*hardPercent/100, hardLeast), total/hardPart)),
	}
	m.soft = max(m.soft, m.hard)
	switch {
	case c.BallastBytes == 0:
		m.ballast = min(ballastBytes, total/ballastPart)
	case c.BallastBytes > 0:
		m.ballast = min(c.BallastBytes, total/ballastPart)
	}
	return m
}

// level judges what is left. The way back up is longer by a quarter of the hard
// mark, so that a level does not come and go with each write.
func (m marks) level(now Level, left int64) Level {
	margin := m.hard / 4
	switch {
	case left < m.hard, now == Full && left < m.hard+margin:
		return Full
	case left < m.soft, now != Ample && left < m.soft+margin:
		return Low
	}
	return Ample
}
