package stream

import "testing"

// TestALimitOfAStreamCountsItsOwnBytes: to the last byte, of a fork without what
// it inherits; what brings no bytes, and a repeat, is no matter of limits.
func TestALimitOfAStreamCountsItsOwnBytes(t *testing.T) {
	r := newReplica(t)
	r.limits.StreamBytes = 10
	r.must(text("a", "12345"))
	r.must(by(add("a", "6789"), "p", 0, 0))
	before := r.text("a")
	r.refused(StreamFull, add("a", "xy"))
	r.refused(StreamFull, by(add("a", "xy"), "p", 0, 1))
	if got := r.text("a"); got != before {
		t.Fatalf("got %q after refusals", got)
	}
	r.must(by(add("a", "6789"), "p", 0, 0)) // the repeat of what was accepted
	r.must(by(add("a", "0"), "p", 0, 1))    // a refused sequence was not used up
	r.refused(StreamFull, add("a", "x"))
	r.must(fork("f", "a", nil, 0))
	r.must(add("f", "1234567890"))
	r.refused(StreamFull, add("f", "x"))
	r.refused(StreamFull, text("b", "12345678901"))
	if r.streams["b"] != nil {
		t.Fatal("a refused creation left a stream")
	}
	r.must(text("b", "1234567890"))
	r.must(closing(Append{Name: "a"}))
	r.limits = Limits{}
	r.must(add("b", "x"))
	r.limits.StreamBytes = 5 // lower than what is there
	r.refused(StreamFull, add("b", "x"))
	r.must(Delete{"b"})
}

// TestALimitOfAllStreamsCountsWhatIsStoredOnce, and gives back what is deleted or
// has expired, the latter to the very request that finds it so.
func TestALimitOfAllStreamsCountsWhatIsStoredOnce(t *testing.T) {
	r := newReplica(t)
	r.limits.TotalBytes = 20
	r.must(text("a", "1234567890"))
	r.must(fork("f", "a", nil, 0))
	r.must(add("f", "12345"))
	r.refused(StoreFull, text("b", "123456"))
	r.must(text("b", ""))
	r.must(add("b", "12345"))
	r.refused(StoreFull, add("a", "x"))
	r.must(Delete{"a"}) // its data stays, for the fork
	r.refused(StoreFull, add("b", "x"))
	r.must(Delete{"f"})
	r.must(add("b", "123456789012345"))
	r.refused(StoreFull, add("b", "x"))
	r.must(Delete{"b"})

	ttl := text("c", "12345678901234567890")
	seconds := "10"
	ttl.Lifetime, _ = ParseLifetime(&seconds, nil)
	r.must(ttl)
	r.refused(StoreFull, text("d", "x"))
	r.now = r.now.Add(11_000_000_000)
	r.must(text("c", "abcdefghijklmnopqrst"))
}

// TestAForkOfPartOfAnAppendStoresThatPart.
func TestAForkOfPartOfAnAppendStoresThatPart(t *testing.T) {
	r := newReplica(t)
	r.must(text("a", "12345"))
	start := r.streams["a"].Start()
	r.limits.StreamBytes = 2
	r.refused(StreamFull, fork("f", "a", &start, 3))
	if refs := r.streams["a"].Refs; refs != 0 {
		t.Fatalf("a refused fork left %d references", refs)
	}
	r.must(fork("f", "a", &start, 2))
}

// TestWhatRetentionLetsGoMakesRoom, as far as no fork keeps it.
func TestWhatRetentionLetsGoMakesRoom(t *testing.T) {
	r := newReplica(t)
	r.limits = Limits{StreamBytes: 12, TotalBytes: 12}
	half := r.must(text("a", "123456")).Next // a record of the replica begins at each sixth byte
	whole := r.must(add("a", "abcdef")).Next
	r.refused(StreamFull, add("a", "x"))
	r.must(Trim{Name: "a", To: &half})
	r.must(add("a", "ABCDEF"))
	r.refused(StreamFull, add("a", "x"))
	r.must(fork("f", "a", &whole, 0)) // keeps what follows the horizon
	r.must(Trim{Name: "a", To: &whole})
	r.refused(StreamFull, add("a", "x"))
	r.must(Delete{"f"})
	r.must(Trim{Name: "a"})
	r.must(add("a", "x"))
}
