package stream

import (
	"bytes"
	"testing"
)

func envelopes(bodies ...string) (all [][]byte) {
	for i, body := range bodies {
		e := AppendToEnvelope(NewEnvelope(nil), Append{Name: "a", ContentType: "text/plain", Body: Payload{Data: []byte(body)}})
		Address(e, uint64(i+1), 7, 6)
		all = append(all, e)
	}
	return all
}

func TestBundleHoldsItsEnvelopesInOrder(t *testing.T) {
	in := envelopes("one", "", "three")
	entry := Bundle(in)
	if err := Stamp(entry, 1896091200250); err != nil {
		t.Fatal(err)
	}
	rest, ok := Unbundle(entry)
	if !ok {
		t.Fatal("a bundle is not known as one")
	}
	for i, want := range in {
		if err := Stamp(want, 1896091200250); err != nil {
			t.Fatal(err)
		}
		var got []byte
		var err error
		if got, rest, err = NextEnvelope(rest); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("envelope %d: %x, %v; want %x", i, got, err, want)
		}
	}
	if len(rest) != 0 {
		t.Fatalf("%d bytes follow the last", len(rest))
	}
	golden(t, "bundle.golden", []string{"three"}, map[string][]byte{"three": entry})
}

func TestSingleEnvelopeIsAnEntryItself(t *testing.T) {
	e := envelopes("one")
	if got := Bundle(e); &got[0] != &e[0][0] {
		t.Fatal("it was copied")
	}
	if _, ok := Unbundle(e[0]); ok {
		t.Fatal("an envelope was taken for a bundle")
	}
}

func TestTruncatedBundlesAreRefused(t *testing.T) {
	entry := Bundle(envelopes("one", "two"))
	whole := map[int]bool{1: true, len(entry): true} // none, and both
	whole[1+4+len(envelopes("one")[0])] = true
	for n := 1; n <= len(entry); n++ {
		rest, ok := Unbundle(entry[:n])
		var err error
		for ok && err == nil && len(rest) > 0 {
			_, rest, err = NextEnvelope(rest)
		}
		if !ok || (err == nil) != whole[n] {
			t.Fatalf("%d of %d bytes: %v, %v", n, len(entry), ok, err)
		}
		if err := Stamp(entry[:n], 1); (err == nil) != whole[n] {
			t.Fatalf("%d of %d bytes were stamped: %v", n, len(entry), err)
		}
	}
}
