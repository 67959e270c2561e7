package chaos

import (
	"fmt"
	"strings"
)

// What can be wrong with a history.
const (
	faultLost       = "lost"       // acknowledged and not there
	faultDoubled    = "doubled"    // there more than once
	faultGhost      = "ghost"      // refused and there
	faultForeign    = "foreign"    // there and never sent
	faultTorn       = "torn"       // there in part
	faultReordered  = "reordered"  // against the order in time, or that of a producer
	faultOffset     = "offset"     // an offset that is not what it was said to be
	faultStale      = "stale"      // an answer that claims to be current and is not
	faultBytes      = "bytes"      // other bytes at the same offsets
	faultGap        = "gap"        // a live reader that missed, repeated or ended early
	faultState      = "state"      // closed, deleted or forked, and not in the end
	faultReplicas   = "replicas"   // nodes that answer differently
	faultLinear     = "linear"     // no order of the operations explains the answers
	faultRefused    = "refused"    // an append that failed at a node that was well
	faultIncomplete = "incomplete" // a history that cannot be judged
)

const findingsShown = 12

// verdict is what the checkers say of a history.
type verdict struct {
	operations int
	acked      int // writes that were acknowledged
	refused    int
	unknown    int
	landed     int // of the unknown, found in the end
	reads      int // catch-up reads and HEADs
	fresh      int // of those, claimed to be current
	tailed     int // events and polls that brought something
	registers  int // histories given to Porcupine
	undecided  int // of those, not decided in time

	wrong    map[string]int
	findings []string // the first few
}

func newVerdict() *verdict { return &verdict{wrong: map[string]int{}} }

func (v *verdict) fail(kind, format string, args ...any) {
	v.wrong[kind]++
	if len(v.findings) < findingsShown {
		v.findings = append(v.findings, kind+": "+fmt.Sprintf(format, args...))
	}
}

// err is nil when nothing is wrong.
func (v *verdict) err() error {
	if len(v.wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%s\n  %s", counts(v.wrong), strings.Join(v.findings, "\n  "))
}

// add sums up what was done.
func (v *verdict) add(w *verdict) {
	v.operations += w.operations
	v.acked += w.acked
	v.refused += w.refused
	v.unknown += w.unknown
	v.landed += w.landed
	v.reads += w.reads
	v.fresh += w.fresh
	v.tailed += w.tailed
	v.registers += w.registers
	v.undecided += w.undecided
	if v.wrong == nil {
		v.wrong = map[string]int{}
	}
	for kind, n := range w.wrong {
		v.wrong[kind] += n
	}
}

func (v verdict) String() string {
	return fmt.Sprintf("%d operations; writes: %d acknowledged, %d refused, %d unknown (%d of them landed); %d reads (%d current), %d tail events, %d registers (%d undecided); "+
		"lost %d, doubled %d, reordered %d, tails with a gap %d, other faults %d",
		v.operations, v.acked, v.refused, v.unknown, v.landed, v.reads, v.fresh, v.tailed, v.registers, v.undecided,
		v.wrong[faultLost], v.wrong[faultDoubled], v.wrong[faultReordered], v.wrong[faultGap], v.others())
}

func (v verdict) others() (n int) {
	for kind, m := range v.wrong {
		switch kind {
		case faultLost, faultDoubled, faultReordered, faultGap:
		default:
			n += m
		}
	}
	return n
}
