package stream

import "testing"

func when(a Append, at Offset) Append {
	a.IfMatch = &at
	return a
}

func TestIfMatchAppendsOnlyAtTheTail(t *testing.T) {
	r := newReplica(t)
	start := r.must(text("a", "")).Next
	first := r.must(when(add("a", "x"), start)).Next
	if no := r.refused(TailMoved, when(add("a", "y"), start)); no.Next != first {
		t.Fatalf("the refusal tells of tail %v, want %v", no.Next, first)
	}
	r.refused(TailMoved, when(add("a", "y"), Offset{first.Incarnation, first.Pos + 1}))
	r.refused(TailMoved, when(add("a", "y"), Offset{first.Incarnation + 1, first.Pos}))
	r.must(when(add("a", "y"), first))
	if got := r.text("a"); got != "xy" {
		t.Fatalf("the stream holds %q", got)
	}
}

func TestIfMatchOfTheStartWantsAnEmptyStream(t *testing.T) {
	r := newReplica(t)
	r.must(text("a", ""))
	r.must(when(add("a", "x"), Offset{}))
	r.refused(TailMoved, when(add("a", "y"), Offset{}))
}

// A fork's tail is named as its source named it until the fork has data.
func TestIfMatchOnAForkTakesTheInheritedTail(t *testing.T) {
	r := newReplica(t)
	tail := r.must(text("a", "xyz")).Next
	r.must(fork("f", "a", nil, 0))
	next := r.must(when(add("f", "1"), tail)).Next
	r.refused(TailMoved, when(add("f", "2"), tail))
	r.must(when(add("f", "2"), next))
}

// The order in which an append is judged: closed, content type, producer,
// If-Match, Stream-Seq.
func TestIfMatchHasItsPlaceAmongTheRules(t *testing.T) {
	r := newReplica(t)
	old := r.must(text("a", "")).Next
	seq := when(by(add("a", "x"), "p", 0, 0), old)
	seq.Seq = "5"
	tail := r.must(seq).Next
	if out := r.must(seq); !out.Duplicate || out.Next != tail {
		t.Fatalf("a repeat of what was accepted: %+v", out)
	}
	wrong := when(add("a", "y"), old)
	wrong.ContentType = "text/html"
	r.refused(ContentTypeMismatch, wrong)
	r.refused(ProducerGap, when(by(add("a", "y"), "p", 0, 2), old))
	behind := when(add("a", "y"), old)
	behind.Seq = "4"
	r.refused(TailMoved, behind)
	r.refused(SeqConflict, when(behind, tail))
	r.refused(TailMoved, when(Append{Name: "a", Close: true}, old))
	if r.streams["a"].Closed {
		t.Fatal("a refused close has closed")
	}
	r.must(when(Append{Name: "a", Close: true}, tail))
	r.must(when(Append{Name: "a", Close: true}, old)) // closed already, which is what was wanted
	r.refused(Closed, when(add("a", "y"), tail))
	if p := r.producers[producerKey{r.streams["a"].Incarnation, "p"}]; p != (ProducerState{0, 0}) {
		t.Fatalf("refusals moved the producer to %v", p)
	}
}
