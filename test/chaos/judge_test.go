package chaos

import (
	"slices"
	"sort"
	"strings"
)

// judge checks a whole history.
func judge(ops []op) *verdict {
	v := newVerdict()
	byStream := map[string][]op{}
	v.rides(ops)
	for _, o := range ops {
		if o.Kind == opFault {
			continue
		}
		v.count(o)
		byStream[o.Stream] = append(byStream[o.Stream], o)
	}
	lives := newLives(ops)
	for _, name := range sortedKeys(byStream) {
		all := byStream[name]
		end, ok := v.replicas(name, all)
		switch {
		case !ok:
		case strings.HasPrefix(name, "reg/"):
			v.register(name, all)
		case strings.HasPrefix(name, "life/"):
			v.life(name, lives, end)
		default:
			judgeData(v, name, all, end)
		}
	}
	return v
}

// rides: while one node is away, whichever it is, an append through another must
// succeed, though it has no producer headers and is sent once. What overlaps
// another fault too has an excuse.
func (v *verdict) rides(ops []op) {
	var faults []op
	for _, o := range ops {
		if o.Kind == opFault {
			faults = append(faults, o)
		}
	}
	for _, o := range ops {
		if o.Kind != opAppend || o.Result == resultOK || o.Status == 409 {
			continue
		}
		var met []op
		for _, f := range faults {
			if o.Call < f.Return && f.Call < o.Return {
				met = append(met, f)
			}
		}
		if len(met) == 1 && met[0].Node != "" && met[0].Node != o.Node {
			v.fail(faultRefused, "%s: %s of %s at %s was %s (%d %s) from %d to %d, and only %s was away", o.Stream, o.Kind, o.Client, o.Node, o.Result, o.Status, o.Error, o.Call, o.Return, met[0].Node)
		}
	}
}

func (v *verdict) count(o op) {
	if o.Kind == opFinal || o.Kind == opFault {
		return
	}
	v.operations++
	switch o.Kind {
	case opRead, opHead:
		v.reads++
		if o.UpToDate {
			v.fresh++
		}
	case opTail:
		v.tailed++
	default:
		switch o.Result {
		case resultOK:
			v.acked++
		case resultRefused:
			v.refused++
		case resultUnknown:
			v.unknown++
		}
	}
}

// replicas wants all nodes to answer alike in the end, and returns what they do.
func (v *verdict) replicas(name string, ops []op) (end op, ok bool) {
	for _, o := range ops {
		if o.Kind != opFinal {
			continue
		}
		if !ok {
			end, ok = o, true
		}
		if o.Status != end.Status || o.Hash != end.Hash || o.Bytes != end.Bytes || o.Next != end.Next || o.Closed != end.Closed {
			v.fail(faultReplicas, "%s: %s answers %d, %d bytes to %s (closed %v), %s answers %d, %d bytes to %s (closed %v)", name,
				end.Node, end.Status, end.Bytes, end.Next, end.Closed, o.Node, o.Status, o.Bytes, o.Next, o.Closed)
		}
	}
	if !ok {
		v.fail(faultIncomplete, "%s: nothing tells what is there in the end", name)
	}
	return end, ok
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// horizon answers how far a stream was known to reach at a moment.
type horizon struct {
	at   []int64 // ascending
	upto []int   // the farthest position that an answer had told by then
}

// newHorizon takes what answers told: at a time, a position.
func newHorizon(times []int64, positions []int) horizon {
	order := make([]int, len(times))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(i, j int) bool { return times[order[i]] < times[order[j]] })
	var h horizon
	far := 0
	for _, i := range order {
		far = max(far, positions[i])
		h.at = append(h.at, times[i])
		h.upto = append(h.upto, far)
	}
	return h
}

// before is how far the stream was known to reach by answers that came before t.
func (h horizon) before(t int64) int {
	n := sort.Search(len(h.at), func(i int) bool { return h.at[i] >= t })
	if n == 0 {
		return 0
	}
	return h.upto[n-1]
}
