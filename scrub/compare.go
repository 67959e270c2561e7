package scrub

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mainstem/storage"
	"mainstem/stream"
)

// compareAll looks again and again at what the others say.
func (s *Scrubber) compareAll(ctx context.Context, members func() []Member) {
	for sleep(ctx, s.cfg.Poll) {
		s.compare(members())
	}
}

func (s *Scrubber) compare(members []Member) {
	var condemned *storage.Damage
	s.mu.Lock()
	for _, r := range s.results {
		if d := s.settle(r, members); d != nil {
			condemned = d
		}
	}
	s.mu.Unlock()
	if condemned != nil {
		s.cfg.Quarantine.Condemn(*condemned)
	}
}

// settle judges one result, if it was not before. It returns what is wrong when
// it is this node that differs. The caller holds mu.
func (s *Scrubber) settle(r *own, members []Member) *storage.Damage {
	if r.settled {
		return nil
	}
	sums := heard(members, r.Index)
	sums[s.cfg.NodeID] = r.Sum
	v := judge(sums, voters(members))
	r.last, r.said = v.outcome, sums
	if v.outcome == odd || v.outcome == undecided && (v.complete || s.cfg.Now().Sub(r.at) >= patience) {
		s.alarm(r, v)
	}
	if v.complete {
		r.settled = true
		s.metrics.ranges.WithLabelValues(outcomeNames[v.outcome]).Inc()
	}
	if !slices.Contains(v.odd, s.cfg.NodeID) {
		return nil
	}
	return &storage.Damage{
		What:  fmt.Sprintf("this node's copy differs from that of a majority at log index %d", r.Index),
		Index: r.Index, Range: r.keys(),
	}
}

// alarm says once that copies differ.
func (s *Scrubber) alarm(r *own, v verdict) {
	if r.alarmed {
		return
	}
	r.alarmed = true
	s.metrics.mismatches.Inc()
	if v.outcome == odd {
		s.cfg.Log.Error("a copy differs from that of a majority, which takes itself out", "odd", v.odd, "index", r.Index, "range", r.keys())
		return
	}
	s.cfg.Log.Error("copies differ, and none has a majority: compare them, and fill anew the node whose data is wrong",
		"sums", fmt.Sprint(r.said), "index", r.Index, "range", r.keys())
}

func voters(members []Member) (ids []string) {
	for _, m := range members {
		if m.Voter {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// Lead makes marks, part after part and pass after pass, until ctx ends. It is
// run where commands are proposed.
func (s *Scrubber) Lead(ctx context.Context, members func() []Member, submit func(context.Context, stream.Command) error) {
	for {
		from, wait := s.next()
		if !sleep(ctx, wait) {
			return
		}
		if len(members()) < 2 { // nobody to compare with
			if !sleep(ctx, s.cfg.Poll) {
				return
			}
			continue
		}
		before := s.newest()
		err := submit(ctx, stream.Mark{From: from, Bytes: uint64(s.cfg.RangeBytes)})
		if err != nil {
			s.cfg.Log.Debug("no mark for the scrub", "err", err)
			if !sleep(ctx, s.cfg.Poll) {
				return
			}
			continue
		}
		if !s.await(ctx, before, members) {
			return
		}
	}
}

// next is where the next mark begins, and when it is due.
func (s *Scrubber) next() (from string, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.results); n > 0 && s.results[n-1].next != "" {
		return s.results[n-1].next, 0
	}
	due := s.passAt.Add(s.cfg.Interval)
	if s.passAt.IsZero() {
		due = s.began.Add(s.cfg.Interval / firstShare)
	}
	return "", max(0, due.Sub(s.cfg.Now()))
}

// newest is the index of this node's last result.
func (s *Scrubber) newest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.results) == 0 {
		return 0
	}
	return s.results[len(s.results)-1].Index
}

// await returns when this node and all members in reach have digested the mark
// after before, or should have by now.
func (s *Scrubber) await(ctx context.Context, before uint64, members func() []Member) bool {
	byRate := time.Duration(float64(s.cfg.RangeBytes) / float64(s.cfg.BytesPerSecond) * float64(time.Second))
	for limit := s.cfg.Now().Add(2*byRate + patience); sleep(ctx, s.cfg.Poll); {
		if !s.cfg.Now().Before(limit) {
			return true
		}
		if index := s.newest(); index > before && s.allSaid(index, members()) {
			return true
		}
	}
	return false
}

func (s *Scrubber) allSaid(index uint64, members []Member) bool {
	sums := heard(members, index)
	for _, m := range members {
		if _, said := sums[m.ID]; m.Reachable && m.ID != s.cfg.NodeID && !said {
			return false
		}
	}
	return true
}
