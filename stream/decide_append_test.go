package stream

import (
	"fmt"
	"testing"
)

func TestAppendAddsAtTheTail(t *testing.T) {
	r := newReplica(t)
	first := r.must(text("a", "")).Next
	second := r.must(add("a", "hello ")).Next
	third := r.must(add("a", "world")).Next
	if got := r.text("a"); got != "hello world" {
		t.Fatalf("body %q", got)
	}
	if first.Compare(second) >= 0 || second.Compare(third) >= 0 || third.Pos != 11 {
		t.Fatalf("offsets %v, %v, %v do not grow by bytes", first, second, third)
	}
}

func TestMissingStreamsAreNotFound(t *testing.T) {
	r := newReplica(t)
	for _, c := range []Command{add("a", "x"), Append{Name: "a", Close: true}, Delete{"a"}, Touch{"a"}, Expire{"a"}} {
		r.refused(NotFound, c)
	}
	if len(r.streams) != 0 {
		t.Fatalf("refusals left %v", r.streams)
	}
}

// §5.2.1, each row, against a producer that is at epoch 3 with sequence 5.
func TestProducerRows(t *testing.T) {
	tests := map[string]struct {
		id         string
		epoch, seq uint64
		code       Code // 0: accepted
		duplicate  bool
		check      func(t *testing.T, no *Rejection)
	}{
		"next":                      {id: "p", epoch: 3, seq: 6},
		"duplicate of the last":     {id: "p", epoch: 3, seq: 5, duplicate: true},
		"duplicate of the first":    {id: "p", epoch: 3, seq: 0, duplicate: true},
		"gap of one":                {id: "p", epoch: 3, seq: 7, code: ProducerGap, check: gap(6, 7)},
		"wide gap":                  {id: "p", epoch: 3, seq: IntegerMax, code: ProducerGap, check: gap(6, IntegerMax)},
		"stale epoch":               {id: "p", epoch: 2, seq: 6, code: ProducerFenced, check: fenced(3)},
		"stale epoch, old sequence": {id: "p", epoch: 0, seq: 0, code: ProducerFenced, check: fenced(3)},
		"new epoch":                 {id: "p", epoch: 4, seq: 0},
		"new epoch, far ahead":      {id: "p", epoch: IntegerMax, seq: 0},
		"new epoch not at zero":     {id: "p", epoch: 4, seq: 1, code: EpochNotAtZero},
		"first sight":               {id: "q", epoch: 0, seq: 0},
		"first sight, any epoch":    {id: "q", epoch: 9, seq: 0},
		"first sight, seq not zero": {id: "q", epoch: 0, seq: 1, code: ProducerGap, check: gap(0, 1)},
		"ids are literal":           {id: "P", epoch: 3, seq: 6, code: ProducerGap, check: gap(0, 6)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t)
			r.must(text("a", ""))
			for seq := range uint64(6) {
				out := r.must(by(add("a", "x"), "p", 3, seq))
				if out.Duplicate || out.Producer == nil || *out.Producer != (ProducerState{3, seq}) {
					t.Fatalf("sequence %d: %+v, producer %v", seq, out, out.Producer)
				}
			}
			before := r.producers[producerKey{1, "p"}]
			if tt.code != 0 {
				no := r.refused(tt.code, by(add("a", "y"), tt.id, tt.epoch, tt.seq))
				if tt.check != nil {
					tt.check(t, no)
				}
				if got := r.producers[producerKey{1, "p"}]; r.text("a") != "xxxxxx" || got != before || len(r.producers) != 1 {
					t.Fatalf("a refusal left %q, producer %v", r.text("a"), got)
				}
				return
			}
			out := r.must(by(add("a", "y"), tt.id, tt.epoch, tt.seq))
			wantText, want := "xxxxxxy", ProducerState{tt.epoch, tt.seq}
			if tt.duplicate {
				wantText, want = "xxxxxx", before // the highest accepted
			}
			if out.Duplicate != tt.duplicate || *out.Producer != want || r.text("a") != wantText || out.Next.Pos != uint64(len(wantText)) {
				t.Fatalf("%+v, producer %v, text %q; want duplicate %v, %v", out, *out.Producer, r.text("a"), tt.duplicate, want)
			}
			if got := r.producers[producerKey{1, tt.id}]; got != want {
				t.Fatalf("remembered %v, want %v", got, want)
			}
		})
	}
}

func gap(expected, received uint64) func(*testing.T, *Rejection) {
	return func(t *testing.T, no *Rejection) {
		if no.Expected != expected || no.Received != received {
			t.Fatalf("expected %d, received %d; want %d, %d", no.Expected, no.Received, expected, received)
		}
	}
}

func fenced(epoch uint64) func(*testing.T, *Rejection) {
	return func(t *testing.T, no *Rejection) {
		if no.Epoch != epoch {
			t.Fatalf("current epoch %d, want %d", no.Epoch, epoch)
		}
	}
}

func TestProducersAreOfOneStreamAndOneLife(t *testing.T) {
	r := newReplica(t)
	r.must(text("a", ""))
	r.must(text("b", ""))
	r.must(by(add("a", "x"), "p", 5, 0))
	r.must(by(add("b", "x"), "p", 0, 0))
	r.must(Delete{"a"})
	r.must(text("a", ""))
	r.refused(ProducerGap, by(add("a", "y"), "p", 5, 1))
	r.must(by(add("a", "x"), "p", 0, 0))
}

func TestStreamSeqComparesBytes(t *testing.T) {
	tests := map[string]struct {
		last, next string
		ok         bool
	}{
		"greater":           {"1", "2", true},
		"equal":             {"1", "1", false},
		"smaller":           {"2", "1", false},
		"not numbers":       {"9", "10", false},
		"longer is greater": {"a", "aa", true},
		"prefix is smaller": {"aa", "a", false},
		"case":              {"a", "B", false},
		"high bytes":        {"z", "\xff", true},
		"bytes, not runes":  {"\xf0\x9f\x98\x80", "\xee\x80\x80", false}, // UTF-16 order differs
		"absent never":      {"5", "", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t)
			r.must(text("a", ""))
			first, second := add("a", "1"), add("a", "2")
			first.Seq, second.Seq = tt.last, tt.next
			r.must(first)
			if tt.ok {
				r.must(second)
			} else {
				r.refused(SeqConflict, second)
			}
			first.Seq = tt.last // is it still remembered?
			r.refused(SeqConflict, first)
		})
	}
}

func TestARefusedAppendDoesNotMoveSeq(t *testing.T) {
	r := newReplica(t)
	r.must(text("a", ""))
	c := by(add("a", "x"), "p", 0, 7)
	c.Seq = "9"
	r.refused(ProducerGap, c)
	c = add("a", "x")
	c.Seq, c.ContentType = "9", "text/html"
	r.refused(ContentTypeMismatch, c)
	c.Seq, c.ContentType = "1", "text/plain"
	r.must(c)
}

func TestAppendPrecedence(t *testing.T) {
	all := by(add("a", "x"), "p", 0, 5) // gap, and
	all.ContentType, all.Seq = "text/html", "0"
	r := newReplica(t)
	r.must(text("a", ""))
	seq := add("a", "1")
	seq.Seq = "5"
	r.must(seq)
	r.must(by(add("a", "2"), "p", 0, 0))

	r.refused(ContentTypeMismatch, all) // type before producer and sequence
	all.ContentType = "text/plain"
	r.refused(ProducerGap, all) // producer before sequence
	all.Producer.Seq = 1
	r.refused(SeqConflict, all)
	all.Producer.Seq = 0
	if out := r.must(all); !out.Duplicate { // a duplicate wins over Stream-Seq
		t.Fatalf("%+v; want a duplicate", out)
	}
	r.must(Append{Name: "a", Close: true})
	for _, epoch := range []uint64{0, 1} { // closed before all
		all.ContentType, all.Producer = "text/html", &Producer{"p", epoch, 5}
		no := r.refused(Closed, all)
		if no.Next != r.streams["a"].Tail() {
			t.Fatalf("a closed stream names the tail %v, want %v", no.Next, r.streams["a"].Tail())
		}
	}
}

func TestContentTypeOfAnAppend(t *testing.T) {
	r := newReplica(t)
	r.must(text("a", ""))
	c := add("a", "x")
	c.ContentType = "Text/Plain; charset=latin1"
	r.must(c)
	c.ContentType = ""
	r.refused(ContentTypeMismatch, c)
	r.must(Append{Name: "a", ContentType: "image/png", Close: true}) // ignored without a body
}

func TestClosure(t *testing.T) {
	closeOnly := Append{Name: "a", Close: true}
	tests := map[string]struct {
		closer Append
		then   Append
		code   Code
		body   string
	}{
		"close twice":                         {closeOnly, closeOnly, 0, "x"},
		"append after":                        {closeOnly, add("a", "y"), Closed, "x"},
		"append and close after":              {closeOnly, closing(add("a", "y")), Closed, "x"},
		"close-only after append and close":   {closing(add("a", "y")), closeOnly, 0, "xy"},
		"append and close repeated, no tuple": {closing(add("a", "y")), closing(add("a", "y")), Closed, "xy"},
		"tuple repeated":                      {closing(by(add("a", "y"), "p", 1, 0)), closing(by(add("a", "y"), "p", 1, 0)), 0, "xy"},
		"tuple repeated with another body":    {closing(by(add("a", "y"), "p", 1, 0)), closing(by(add("a", "zzz"), "p", 1, 0)), 0, "xy"},
		"tuple repeated with another type":    {closing(by(add("a", "y"), "p", 1, 0)), Append{Name: "a", ContentType: "a/b", Body: Payload{Data: []byte("z")}, Producer: &Producer{"p", 1, 0}}, 0, "xy"},
		"tuple repeated without close":        {closing(by(add("a", "y"), "p", 1, 0)), by(add("a", "y"), "p", 1, 0), 0, "xy"},
		"tuple repeated, close-only":          {by(closeOnly, "p", 1, 0), by(closeOnly, "p", 1, 0), 0, "x"},
		"next sequence":                       {closing(by(add("a", "y"), "p", 1, 0)), by(add("a", "z"), "p", 1, 1), Closed, "xy"},
		"other epoch":                         {closing(by(add("a", "y"), "p", 1, 0)), by(add("a", "z"), "p", 2, 0), Closed, "xy"},
		"stale epoch is closed, not fenced":   {closing(by(add("a", "y"), "p", 1, 0)), by(add("a", "z"), "p", 0, 0), Closed, "xy"},
		"other producer":                      {closing(by(add("a", "y"), "p", 1, 0)), closing(by(add("a", "y"), "q", 1, 0)), Closed, "xy"},
		"other producer closes only":          {closing(by(add("a", "y"), "p", 1, 0)), by(closeOnly, "q", 0, 0), Closed, "xy"},
		"producer after a plain close":        {closeOnly, by(closeOnly, "p", 0, 0), Closed, "x"},
		"close-only after a producer's":       {closing(by(add("a", "y"), "p", 1, 0)), closeOnly, 0, "xy"},
		"close-only ignores the type":         {closeOnly, Append{Name: "a", ContentType: "image/png", Close: true}, 0, "x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReplica(t)
			r.must(text("a", "x"))
			if out := r.must(tt.closer); !out.Closed || out.Duplicate || out.Next != r.streams["a"].Tail() {
				t.Fatalf("closing: %+v", out)
			}
			if tt.code != 0 {
				if no := r.refused(tt.code, tt.then); no.Next != r.streams["a"].Tail() {
					t.Fatalf("the refusal names %v as the tail", no.Next)
				}
			} else {
				out := r.must(tt.then)
				if !out.Closed || !out.Duplicate || out.Next != r.streams["a"].Tail() || (tt.then.Producer != nil) != (out.Producer != nil) {
					t.Fatalf("closing again: %+v", out)
				}
				if p := out.Producer; p != nil && *p != (ProducerState{tt.then.Producer.Epoch, tt.then.Producer.Seq}) {
					t.Fatalf("producer %v", p)
				}
			}
			if got := r.text("a"); got != tt.body || !r.streams["a"].Closed {
				t.Fatalf("text %q, closed %v; want %q, closed", got, r.streams["a"].Closed, tt.body)
			}
		})
	}
}

func TestADuplicateDoesNotClose(t *testing.T) {
	r := newReplica(t)
	r.must(text("a", ""))
	r.must(by(add("a", "x"), "p", 0, 0))
	if out := r.must(closing(by(add("a", "x"), "p", 0, 0))); out.Closed || !out.Duplicate || r.streams["a"].Closed {
		t.Fatalf("%+v: a repeat of an append closed the stream", out)
	}
	if out := r.must(by(Append{Name: "a", Close: true}, "p", 0, 1)); !out.Closed || out.Duplicate || *out.Producer != (ProducerState{0, 1}) {
		t.Fatalf("%+v: a close-only with the next sequence", out)
	}
}

func TestTheLargestPositionIsNotPassed(t *testing.T) {
	r := newReplica(t)
	r.must(text("a", ""))
	s := *r.streams["a"]
	s.Pos = offsetMax - 2
	var change Change
	view := &fixed{replica: r, state: s}
	if got := Decide(view, r.now, add("a", "123"), &change); got.Rejection == nil || got.Rejection.Code != StreamTooLong {
		t.Fatalf("%+v: three bytes fit where two are left", got)
	}
	if len(change.Streams)+len(change.Writes) != 0 {
		t.Fatalf("the refusal changes %+v", change)
	}
	got := Decide(view, r.now, add("a", "12"), &change)
	if got.Rejection != nil || got.Outcome.Next.String() != fmt.Sprintf("%016d_%d", 1, uint64(offsetMax)) {
		t.Fatalf("%+v: two bytes do not fit where two are left", got)
	}
}

// fixed shows one state for every name.
type fixed struct {
	*replica
	state State
}

func (f *fixed) Stream(Name) *State { return &f.state }
