package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Verdict is what the judge counted and what it found wrong.
type Verdict struct {
	Wrong  []string
	Counts map[string]int
}

func (v *Verdict) wrong(format string, args ...any) {
	v.Wrong = append(v.Wrong, fmt.Sprintf(format, args...))
}

// Judge compares what clients saw with what the streams hold in the end.
func Judge(h *History) *Verdict {
	v := &Verdict{Wrong: slices.Clone(h.Wrong), Counts: map[string]int{}}
	byStream := map[string][]*Op{}
	for _, o := range h.Ops() {
		byStream[o.Stream] = append(byStream[o.Stream], o)
		v.count(o)
	}
	for name, finals := range h.Final {
		final := v.agree(name, finals)
		if final.Gone {
			v.wrong("%s was created and acknowledged, and is gone", name)
			continue
		}
		if isTrimmed(name) {
			if slices.Contains(trimmed, name) {
				v.trimmedStream(name, byStream[name], final, h)
			}
			continue
		}
		v.appends(name, byStream[name], final)
		v.reads(name, byStream[name], final)
		v.closure(name, byStream[name], final)
		v.forks(name, byStream[name], final, h)
	}
	for _, name := range slices.Sorted(maps.Keys(byStream)) {
		if linearizable(name) {
			v.linear(name, byStream[name])
		}
	}
	return v
}

func (v *Verdict) count(o *Op) {
	v.Counts["ops"]++
	switch {
	case o.Kind == Event || o.Kind == Poll:
		if o.Body != "" {
			v.Counts["live answers"]++
		}
	case o.Kind == Append && o.Fate() == Done:
		v.Counts["appends acknowledged"]++
	case o.Kind == Append && o.Fate() == Unknown:
		v.Counts["appends unknown"]++
	case o.Kind == Append && o.Status == 503:
		v.Counts["appends not written"]++
	case o.Stale:
		v.Counts["stale reads"]++
	}
	if o.Status >= 500 && o.Status != 503 {
		v.wrong("an answer that must never be: %v", o)
	}
}

// agree wants the same of all nodes.
func (v *Verdict) agree(name string, finals map[string]Final) (one Final) {
	v.Counts["streams"]++
	first := ""
	for _, id := range slices.Sorted(maps.Keys(finals)) {
		switch {
		case first == "":
			first, one = id, finals[id]
		case finals[id] != one:
			v.wrong("%s differs: %s has %d bytes up to %v, %s has %d up to %v", name, first, len(one.Body), one.Next, id, len(finals[id].Body), finals[id].Next)
		}
	}
	if one.Next.Pos != one.Begin+uint64(len(one.Body)) {
		v.wrong("%s has %d bytes and ends at %v", name, len(one.Body), one.Next)
	}
	return one
}

// own is where the data of the stream itself begins: after what a fork inherits.
func own(ops []*Op) uint64 {
	for _, o := range ops {
		if o.Source != "" {
			return o.From.Pos
		}
	}
	return 0
}

// appends wants each acknowledged append in its place, and nothing twice or from
// nowhere.
func (v *Verdict) appends(name string, ops []*Op, final Final) {
	body := final.Body[min(own(ops), uint64(len(final.Body))):]
	attempted := map[string]*Op{}
	fates := map[string]Fate{} // of data: the best of its attempts
	for _, o := range ops {
		if o.Kind != Append {
			continue
		}
		fate := o.Fate()
		if before, ok := fates[o.Data]; ok && (before == Done || before == Unknown && fate == Refused) {
			fate = before
		}
		attempted[o.Data], fates[o.Data] = o, fate
		if o.Fate() != Done || o.Producer != "" && o.Status == 204 { // a repeat is answered with the tail
			continue
		}
		end := o.Next.Pos
		if end > uint64(len(final.Body)) || end < uint64(len(o.Data)) || final.Body[end-uint64(len(o.Data)):end] != o.Data {
			v.wrong("acknowledged and not in its place: %v of %q", o, o.Data)
		}
	}
	for data, o := range attempted {
		n := strings.Count(body, data)
		if i := strings.Index(body, data); i > 0 && n > 0 && body[i-1] != ';' && body[i-1] != ',' {
			n-- // the end of a longer payload
		}
		switch fate := fates[data]; {
		case fate == Done && n != 1:
			v.wrong("acknowledged and there %d times: %v of %q", n, o, data)
		case fate == Unknown && n > 1:
			v.wrong("of unknown outcome and there %d times: %v of %q", n, o, data)
		case fate == Refused && n != 0:
			v.wrong("refused and there %d times: %v of %q", n, o, data)
		}
	}
	v.order(name, ops, body)
}

// order wants what one client appended in the order in which it did, where it
// waited for each acknowledgement.
func (v *Verdict) order(name string, ops []*Op, body string) {
	last := map[int]int{} // by client
	for _, o := range ops {
		if o.Kind != Append || o.Fate() != Done {
			continue
		}
		at := strings.Index(body, o.Data)
		if at < last[o.Client] {
			v.wrong("out of order in %s: %v of %q lies at %d, before an earlier one at %d", name, o, o.Data, at, last[o.Client])
		}
		last[o.Client] = max(at, last[o.Client])
	}
}

// reads wants each answer to hold what the stream holds between its offsets.
func (v *Verdict) reads(name string, ops []*Op, final Final) {
	for _, o := range ops {
		if o.Kind != Read && o.Kind != Poll && o.Kind != Event || o.Status != 200 {
			continue
		}
		v.Counts["reads compared"]++
		from, to := o.From.Pos, o.Next.Pos
		if from > to || to > uint64(len(final.Body)) || final.Body[from:to] != o.Body {
			v.wrong("not what the stream holds: %v: %q", o, o.Body)
		}
		if o.Closed && o.Next != final.Next {
			v.wrong("ended before its end, %v: %v", final.Next, o)
		}
	}
}

// closure wants closed to stay closed.
func (v *Verdict) closure(name string, ops []*Op, final Final) {
	for _, o := range ops {
		if (o.Kind == Close && o.Fate() == Done || o.Closed) && !final.Closed {
			v.wrong("%s was closed and is open: %v", name, o)
			return
		}
	}
}

// forks wants a fork to begin with what its source held.
func (v *Verdict) forks(name string, ops []*Op, final Final, h *History) {
	for _, o := range ops {
		if o.Source == "" || o.Fate() != Done {
			continue
		}
		v.Counts["forks"]++
		for _, source := range h.Final[o.Source] {
			at := o.From.Pos
			if at > uint64(len(source.Body)) || at > uint64(len(final.Body)) || source.Body[:at] != final.Body[:at] {
				v.wrong("%s does not begin with the first %d bytes of its source %s", name, at, o.Source)
			}
		}
	}
}
