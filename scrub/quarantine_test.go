package scrub_test

import (
	"errors"
	"testing"
	"time"

	"mainstem/scrub"
	"mainstem/storage"
)

// saved is a Quarantine and what it has recorded.
type saved struct {
	*scrub.Quarantine
	damages []storage.Damage
	last    bool
}

func newSaved() *saved {
	s := &saved{}
	s.Quarantine = scrub.NewQuarantine(scrub.QuarantineConfig{
		Save: func(d storage.Damage) error {
			if s.closed() {
				panic("told before it was saved")
			}
			s.damages = append(s.damages, d)
			return nil
		},
		Last: func() bool { return s.last && s.Damage() == "" }, // asks back, as the cluster's status does
		Now:  func() time.Time { return time.Unix(1700000000, 0) },
	})
	return s
}

func (s *saved) closed() bool {
	select {
	case <-s.Damaged():
		return true
	default:
		return false
	}
}

func TestTheFirstDamageIsRecorded(t *testing.T) {
	s := newSaved()
	if s.closed() || s.Damage() != "" {
		t.Fatal("damaged from the start")
	}
	s.Found(errors.New("a block"))
	s.Found(errors.New("another"))
	s.Condemn(storage.Damage{What: "it differs"})
	if want := (storage.Damage{What: "a block", FoundAt: time.Unix(1700000000, 0)}); len(s.damages) != 1 || s.damages[0] != want {
		t.Fatalf("recorded %+v, want %+v", s.damages, want)
	}
	if !s.closed() || s.Damage() != "a block" {
		t.Fatalf("closed %v, damage %q", s.closed(), s.Damage())
	}
}

// A bad checksum gives an error in place of an answer; the rest of the last copy
// is worth having. A copy that differs may answer anything.
func TestTheLastCopyIsSparedUnlessItIsWrong(t *testing.T) {
	s := newSaved()
	s.last = true
	s.Found(errors.New("a block"))
	if s.closed() || len(s.damages) != 0 {
		t.Fatalf("the last copy was taken out: %+v", s.damages)
	}
	s.last = false
	s.Found(errors.New("a block"))
	if !s.closed() {
		t.Fatal("it was not taken out when there was another")
	}
	s = newSaved()
	s.last = true
	s.Condemn(storage.Damage{What: "it differs", Index: 7})
	if !s.closed() || s.damages[0].Index != 7 {
		t.Fatalf("a copy that differs stays: %+v", s.damages)
	}
}

func TestDamageThatCannotBeRecordedCountsAllTheSame(t *testing.T) {
	q := scrub.NewQuarantine(scrub.QuarantineConfig{Save: func(storage.Damage) error { return errors.New("no space") }})
	q.Found(errors.New("a block"))
	if q.Damage() != "a block" {
		t.Fatalf("damage %q", q.Damage())
	}
}
