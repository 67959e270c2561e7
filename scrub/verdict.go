package scrub

import "slices"

// outcome is what a comparison has come to so far.
type outcome uint8

const (
	waiting   outcome = iota // no two differ, and some voters have said nothing
	equal                    // all voters have said the same
	odd                      // some differ from a majority of the voters
	undecided                // some differ, and there is no majority
)

// outcomeNames are for a metric's label.
var outcomeNames = [...]string{waiting: "incomplete", equal: "equal", odd: "odd", undecided: "undecided"}

// verdict is an outcome and whom it concerns.
type verdict struct {
	outcome  outcome
	complete bool     // every voter has said something
	odd      []string // sorted
}

// judge compares what members say about one part of the copy at one index. Only
// voters count for a majority, which is one of all voters, not of those who have
// spoken; a member without a vote may be odd all the same. Of two voters that
// differ nobody can tell which is wrong.
func judge(sums map[string]string, voters []string) verdict {
	votes, spoken := map[string]int{}, 0
	for _, id := range voters {
		if sum, ok := sums[id]; ok {
			votes[sum]++
			spoken++
		}
	}
	v := verdict{complete: spoken == len(voters)}
	majority, found := "", false
	for sum, n := range votes {
		if 2*n > len(voters) {
			majority, found = sum, true
		}
	}
	differ := false
	for id, sum := range sums {
		for _, other := range sums {
			differ = differ || sum != other
		}
		if found && sum != majority {
			v.odd = append(v.odd, id)
		}
	}
	slices.Sort(v.odd)
	switch {
	case !differ && v.complete:
		v.outcome = equal
	case !differ:
		v.outcome = waiting
	case found:
		v.outcome = odd
	default:
		v.outcome = undecided
	}
	return v
}
