package chaos

import (
	"fmt"
	"math"
	"strings"
)

// dataJudge checks one stream that many clients append to, by sets that scale
// with the number of operations.
type dataJudge struct {
	v      *verdict
	name   string
	ops    []op
	whole  string // what is there in the end
	life   string // the incarnation that all offsets name
	sends  map[string]*op
	ends   map[string]int // where the append ends, by its first place
	seen   map[string]int
	placed []*op // in stream order
}

func judgeData(v *verdict, name string, ops []op, end op) {
	if end.Status != 200 {
		v.fail(faultState, "%s: in the end it is answered %d", name, end.Status)
		return
	}
	life, at, err := position(end.Next)
	if err != nil || at != len(end.Body) {
		v.fail(faultOffset, "%s ends at %s with %d bytes (%v)", name, end.Next, len(end.Body), err)
		return
	}
	j := &dataJudge{v: v, name: name, ops: ops, whole: end.Body, life: life,
		sends: map[string]*op{}, ends: map[string]int{}, seen: map[string]int{}}
	for i := range ops {
		if o := &ops[i]; o.Kind == opAppend || o.Kind == opProduce {
			j.sends[appendID(o)] = o
		}
	}
	if !j.walk() {
		return
	}
	j.sets()
	j.order()
	j.looks()
	j.tails()
}

func appendID(o *op) string { return fmt.Sprintf("%s:%d", o.Client, o.Seq) }

// idAt finds which append the message at the beginning of s belongs to.
func idAt(s string) string {
	s = strings.TrimPrefix(s, `{"id":"`)
	client, rest, _ := strings.Cut(s, ":")
	seq, _, ok := strings.Cut(rest, ":")
	if !ok {
		return ""
	}
	return client + ":" + seq
}

// walk finds each append in the whole.
func (j *dataJudge) walk() bool {
	for at := 0; at < len(j.whole); {
		id := idAt(j.whole[at:min(len(j.whole), at+100)])
		o := j.sends[id]
		switch {
		case o == nil:
			j.v.fail(faultForeign, "%s: at %d begins %q, which nobody sent", j.name, at, j.whole[at:min(len(j.whole), at+40)])
			return false
		case !strings.HasPrefix(j.whole[at:], o.Body):
			j.v.fail(faultTorn, "%s: %s at %d is not whole", j.name, id, at)
			return false
		}
		at += len(o.Body)
		if j.seen[id]++; j.seen[id] == 1 {
			j.ends[id] = at
		}
		j.placed = append(j.placed, o)
	}
	return true
}

// sets: acknowledged exactly once, refused never, unknown at most once; and the
// acknowledgement names the end of its append.
func (j *dataJudge) sets() {
	for id, o := range j.sends {
		n := j.seen[id]
		switch {
		case o.Result == resultOK && n == 0:
			j.v.fail(faultLost, "%s: %s was acknowledged by %s with %s and is not there", j.name, id, o.Node, o.Next)
			continue
		case n > 1:
			j.v.fail(faultDoubled, "%s: %s (%s) is there %d times", j.name, id, o.Result, n)
		case o.Result == resultRefused && n > 0:
			j.v.fail(faultGhost, "%s: %s was refused by %s with %d and is there", j.name, id, o.Node, o.Status)
		case o.Result == resultUnknown:
			j.v.landed += n
		}
		if o.Result != resultOK {
			continue
		}
		end := j.ends[id]
		// A repeat is told the tail of its moment, the first answer the end of its append.
		if at, ok := j.position(o, o.Next); ok && (at < end || at != end && !o.Again) {
			j.v.fail(faultOffset, "%s: %s ends at %d and was answered with %s (repeat %v)", j.name, id, end, o.Next, o.Again)
		}
	}
}

// position wants an offset to name this stream's incarnation.
func (j *dataJudge) position(o *op, offset string) (int, bool) {
	life, at, err := position(offset)
	if err != nil || life != j.life && offset != "-1" {
		j.v.fail(faultOffset, "%s: %s of %s told %q, offsets here begin with %s", j.name, o.Kind, o.Client, offset, j.life)
		return 0, false
	}
	return at, true
}

// order: what was acknowledged before another was sent comes before it, and
// each producer's appends come in the order of their numbers.
func (j *dataJudge) order() {
	latest, next := int64(math.MinInt64), map[string]int{}
	for i, o := range j.placed {
		if o.Result == resultOK && o.Return < latest {
			j.v.fail(faultReordered, "%s: %s was acknowledged before an append was sent that is there before it", j.name, appendID(o))
		}
		latest = max(latest, o.Call)
		if o.Kind != opProduce {
			continue
		}
		if o.Seq != next[o.Client] {
			j.v.fail(faultReordered, "%s: append %d is number %d of %s, want its number %d", j.name, i, o.Seq, o.Client, next[o.Client])
		}
		next[o.Client] = o.Seq + 1
	}
}

// looks: each read brought the bytes that are there in the end, and what claims
// to be current holds all that answers had told before it was asked for.
func (j *dataJudge) looks() {
	var times []int64
	var positions []int
	for i := range j.ops {
		o := &j.ops[i]
		write := o.Kind == opAppend || o.Kind == opProduce
		if o.Result == resultOK && (write || o.Kind == opRead || o.Kind == opHead) {
			if at, ok := j.position(o, o.Next); ok {
				times, positions = append(times, o.Return), append(positions, at)
			}
		}
	}
	known := newHorizon(times, positions)
	for i := range j.ops {
		o := &j.ops[i]
		if o.Result != resultOK {
			continue
		}
		at, ok := j.position(o, o.Next)
		switch {
		case !ok:
		case o.Kind == opRead:
			j.bytes(o)
			fallthrough
		case o.Kind == opHead:
			if o.Closed {
				j.v.fail(faultState, "%s: %s says closed at %d, and nobody closed it", j.name, o.Node, o.Call)
			}
			if far := known.before(o.Call); o.UpToDate && at < far {
				j.v.fail(faultStale, "%s: %s of %s at %s, asked at %d, claims to be current at %d; %d was known before", j.name, o.Kind, o.Client, o.Node, o.Call, at, far)
			}
		case o.Kind == opAppend || o.Kind == opProduce && !o.Again:
			if far := known.before(o.Call); at <= far {
				j.v.fail(faultReordered, "%s: %s ends at %d; %d was known before it was sent", j.name, appendID(o), at, far)
			}
		}
	}
}

// bytes compares what came with what is there in the end.
func (j *dataJudge) bytes(o *op) {
	from, ok1 := j.position(o, o.From)
	to, ok2 := j.position(o, o.Next)
	switch {
	case !ok1 || !ok2:
	case from > to || to > len(j.whole):
		j.v.fail(faultBytes, "%s: %s of %s at %s went from %s to %s of %d bytes", j.name, o.Kind, o.Client, o.Node, o.From, o.Next, len(j.whole))
	case o.Bytes != to-from || o.Hash != hash(j.whole[from:to]):
		j.v.fail(faultBytes, "%s: %s of %s at %s brought %d bytes from %s to %s that are not those of the end", j.name, o.Kind, o.Client, o.Node, o.Bytes, o.From, o.Next)
	}
}

// tails: each live reader was given the stream, piece after piece, to its end.
func (j *dataJudge) tails() {
	at := map[string]string{}
	for i := range j.ops {
		o := &j.ops[i]
		if o.Kind != opTail {
			continue
		}
		before, begun := at[o.Client]
		if !begun {
			before = "-1"
		}
		if o.From != before {
			j.v.fail(faultGap, "%s: %s was at %s and went on from %s", j.name, o.Client, before, o.From)
		}
		wrong := j.v.wrong[faultBytes] + j.v.wrong[faultOffset]
		j.bytes(o)
		if j.v.wrong[faultBytes]+j.v.wrong[faultOffset] > wrong {
			j.v.fail(faultGap, "%s: %s was given something else than the stream from %s to %s", j.name, o.Client, o.From, o.Next)
		}
		at[o.Client] = o.Next
	}
	for client, offset := range at {
		if _, to, err := position(offset); err != nil || to != len(j.whole) {
			j.v.fail(faultGap, "%s: %s ended at %s of %d bytes", j.name, client, offset, len(j.whole))
		}
	}
}
