package scrub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/storage"
)

const (
	// rangeBytes is how much of the copy is compared at a mark. It bounds for how
	// long a view is held: four seconds at the default rate.
	rangeBytes = 16 << 20
	// resultsKept is how many results are told to the others: a node that missed
	// some reports sees them later.
	resultsKept = 4
	// resultsBytesMax bounds what is read of another node's note.
	resultsBytesMax = 4096
	// patience is how much longer than by the rate a mark may take the others
	// before the next one is made.
	patience = 30 * time.Second
	// firstShare is the part of the interval after which a fresh process begins.
	firstShare = 10
)

// Store is a part of a node's data that can be checked by itself.
type Store struct {
	Name   string
	Verify func(ctx context.Context, pace storage.Pace) error
}

// Config configures a Scrubber. Zero values mean the documented default.
type Config struct {
	NodeID         string        // required
	BytesPerSecond int64         // read at most, by all of the scrubber; 4 MiB
	RangeBytes     int64         // compared at once; 16 MiB
	Interval       time.Duration // from the beginning of one pass to that of the next; 1 h
	Poll           time.Duration // between looks at what the others say; 1 s
	Stores         []Store
	Quarantine     *Quarantine // required

	Now     func() time.Time      // time.Now
	Log     *slog.Logger          // discarded
	Metrics prometheus.Registerer // none
}

// Validate names the field that cannot be used.
func (c Config) Validate() error {
	switch {
	case c.NodeID == "":
		return errors.New("scrub: NodeID is empty")
	case c.Quarantine == nil:
		return errors.New("scrub: there is no Quarantine")
	case c.BytesPerSecond < 0 || c.RangeBytes < 0:
		return fmt.Errorf("scrub: BytesPerSecond %d and RangeBytes %d must not be negative", c.BytesPerSecond, c.RangeBytes)
	case c.Interval < 0 || c.Poll < 0:
		return fmt.Errorf("scrub: Interval %v and Poll %v must not be negative", c.Interval, c.Poll)
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.BytesPerSecond = cmp.Or(c.BytesPerSecond, 4<<20)
	c.RangeBytes = cmp.Or(c.RangeBytes, rangeBytes)
	c.Interval = cmp.Or(c.Interval, time.Hour)
	c.Poll = cmp.Or(c.Poll, time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	return c
}
