package scrub

import (
	"log/slog"
	"sync"
	"time"

	"mainstem/storage"
)

// sparedLogInterval is how often it is said that a damaged copy stays in use.
const sparedLogInterval = time.Minute

// QuarantineConfig configures a Quarantine.
type QuarantineConfig struct {
	// Save makes the damage known to the next start. Required.
	Save func(storage.Damage) error
	// Last reports that no other copy can be read. Damage that shows itself by its
	// checksum is then only told: what can be read of the copy is right. nil:
	// there are others.
	Last func() bool
	Now  func() time.Time // time.Now
	Log  *slog.Logger     // discarded
}

// Quarantine is where a node's copy goes that must not be read any more. There is
// no way out but to fill the node anew.
type Quarantine struct {
	cfg     QuarantineConfig
	damaged chan struct{}

	mu     sync.Mutex // guards what follows
	damage storage.Damage
	spared time.Time // when it was last said
}

// NewQuarantine returns one that nobody is in.
func NewQuarantine(cfg QuarantineConfig) *Quarantine {
	if cfg.Last == nil {
		cfg.Last = func() bool { return false }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Quarantine{cfg: cfg, damaged: make(chan struct{})}
}

// Damaged is closed when the copy must not be read any more.
func (q *Quarantine) Damaged() <-chan struct{} { return q.damaged }

// Damage says what was found, "" before.
func (q *Quarantine) Damage() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.damage.What
}

// Found is for data whose checksum is wrong: readers get an error in its place,
// never something else. It returns when the next start would know.
func (q *Quarantine) Found(err error) { q.take(storage.Damage{What: err.Error()}, true) }

// Condemn is for a copy that differs from a majority: it may answer anything.
func (q *Quarantine) Condemn(d storage.Damage) { q.take(d, false) }

func (q *Quarantine) take(d storage.Damage, shows bool) {
	last := shows && q.Damage() == "" && q.cfg.Last() // which may ask for Damage
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.damage.What != "" {
		return
	}
	d.FoundAt = q.cfg.Now()
	if last {
		if d.FoundAt.Sub(q.spared) >= sparedLogInterval {
			q.spared = d.FoundAt
			q.cfg.Log.Error("this node's data is damaged; it stays in use, because no other copy can be read now", "what", d.What)
		}
		return
	}
	if err := q.cfg.Save(d); err != nil {
		q.cfg.Log.Error("the damage could not be recorded; the next start will not know of it", "err", err)
	}
	q.damage = d
	log := q.cfg.Log.With("what", d.What)
	if d.Range != "" {
		log = log.With("index", d.Index, "range", d.Range)
	}
	log.Error("this node's data is damaged; it is not read any more, and the node must be filled anew")
	close(q.damaged)
}
