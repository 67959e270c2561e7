package fsm

import (
	"container/heap"

	"mainstem/stream"
)

// schedule keeps numbers by the time at which something is due.
type schedule struct {
	items []*appointment
	of    map[uint64]*appointment
}

type appointment struct {
	number uint64
	at     stream.Time
	place  int // in items
}

func newSchedule() schedule { return schedule{of: map[uint64]*appointment{}} }

// set moves, adds or removes an appointment.
func (s *schedule) set(number uint64, at stream.Time, wanted bool) {
	a := s.of[number]
	switch {
	case a == nil && wanted:
		a = &appointment{number: number, at: at}
		s.of[number] = a
		heap.Push(s, a)
	case a != nil && wanted:
		a.at = at
		heap.Fix(s, a.place)
	case a != nil:
		heap.Remove(s, a.place)
		delete(s.of, number)
	}
}

// until returns up to limit numbers whose time has come, earliest first.
func (s *schedule) until(now stream.Time, limit int) (numbers []uint64) {
	var taken []*appointment
	for len(s.items) > 0 && s.items[0].at <= now && len(taken) < limit {
		taken = append(taken, heap.Pop(s).(*appointment))
	}
	for _, a := range taken {
		numbers = append(numbers, a.number)
		heap.Push(s, a)
	}
	return numbers
}

func (s *schedule) first() (at stream.Time, ok bool) {
	if len(s.items) == 0 {
		return 0, false
	}
	return s.items[0].at, true
}

// Len implements heap.Interface.
func (s *schedule) Len() int { return len(s.items) }

// Less implements heap.Interface.
func (s *schedule) Less(i, j int) bool {
	a, b := s.items[i], s.items[j]
	return a.at < b.at || a.at == b.at && a.number < b.number
}

// Swap implements heap.Interface.
func (s *schedule) Swap(i, j int) {
	s.items[i], s.items[j] = s.items[j], s.items[i]
	s.items[i].place, s.items[j].place = i, j
}

// Push implements heap.Interface.
func (s *schedule) Push(x any) {
	a := x.(*appointment)
	a.place = len(s.items)
	s.items = append(s.items, a)
}

// Pop implements heap.Interface.
func (s *schedule) Pop() any {
	last := len(s.items) - 1
	a := s.items[last]
	s.items[last] = nil
	s.items = s.items[:last]
	return a
}
