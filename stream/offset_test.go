package stream

import (
	"cmp"
	"errors"
	"strings"
	"testing"
)

func TestOffsetTokens(t *testing.T) {
	tests := map[string]struct {
		offset Offset
		token  string
	}{
		"zero":    {Offset{}, "0000000000000000_0000000000000000"},
		"small":   {Offset{1, 2}, "0000000000000001_0000000000000002"},
		"largest": {Offset{offsetMax, offsetMax}, "9999999999999999_9999999999999999"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.offset.String(); got != tt.token {
				t.Fatalf("String() = %q, want %q", got, tt.token)
			}
			if strings.ContainsAny(tt.token, ",&=?/") { // §8
				t.Fatalf("%q has a character that offsets must not have", tt.token)
			}
			if got, err := ParseOffset(tt.token); err != nil || got != tt.offset {
				t.Fatalf("ParseOffset(%q) = %v, %v; want %v", tt.token, got, err, tt.offset)
			}
		})
	}
}

func TestMalformedOffsetsAreRefused(t *testing.T) {
	tests := map[string]string{
		"empty":             "",
		"words":             "latest",
		"minus two":         "-2",
		"upper case now":    "NOW",
		"one number":        "0000000000000001",
		"short":             "1_2",
		"too long":          "00000000000000001_0000000000000002",
		"sign":              "+000000000000001_0000000000000002",
		"negative":          "0000000000000001_-000000000000002",
		"hexadecimal":       "000000000000000a_0000000000000002",
		"other separator":   "0000000000000001-0000000000000002",
		"space":             " 000000000000001_0000000000000002",
		"trailing":          "0000000000000001_0000000000000002\n",
		"full-width digits": "０000000000001_0000000000000002",
	}
	for name, token := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseOffset(token); !errors.Is(err, &Rejection{Code: BadOffset}) {
				t.Fatalf("ParseOffset(%q) = %v, %v; want BadOffset", token, got, err)
			}
			if _, err := ParseFrom(token); !errors.Is(err, &Rejection{Code: BadOffset}) {
				t.Fatalf("ParseFrom(%q): %v; want BadOffset", token, err)
			}
		})
	}
}

func TestWordsEndAtParseFrom(t *testing.T) {
	for _, s := range []string{"-1", "0000000000000000_0000000000000000"} {
		from, err := ParseFrom(s)
		if _, named := from.Offset(); err != nil || named || from.Now() {
			t.Fatalf("ParseFrom(%q) is %+v, %v; want the start", s, from, err)
		}
	}
	if from, err := ParseFrom("now"); err != nil || !from.Now() {
		t.Fatalf("ParseFrom(now) = %+v, %v", from, err)
	}
	from, err := ParseFrom("0000000000000001_0000000000000000")
	if at, named := from.Offset(); err != nil || !named || at != (Offset{1, 0}) {
		t.Fatalf("ParseFrom of an offset = %+v, %v", from, err)
	}
}

func FuzzOffsetSortsAsText(f *testing.F) {
	f.Add(uint64(0), uint64(0), uint64(0), uint64(1))
	f.Add(uint64(1), uint64(offsetMax), uint64(2), uint64(0))
	f.Add(uint64(9), uint64(99), uint64(10), uint64(9))
	f.Fuzz(func(t *testing.T, i1, p1, i2, p2 uint64) {
		const n = offsetMax + 1
		a, b := Offset{i1 % n, p1 % n}, Offset{i2 % n, p2 % n}
		if got, err := ParseOffset(a.String()); err != nil || got != a {
			t.Fatalf("parse(print(%v)) = %v, %v", a, got, err)
		}
		if got, want := cmp.Compare(a.String(), b.String()), a.Compare(b); got != want {
			t.Fatalf("%v and %v compare %d as text, %d as values", a, b, got, want)
		}
	})
}

func FuzzParseOffsetPrintsBack(f *testing.F) {
	f.Add("0000000000000001_0000000000000002")
	f.Add("-1")
	f.Fuzz(func(t *testing.T, s string) {
		if o, err := ParseOffset(s); err == nil && o.String() != s {
			t.Fatalf("ParseOffset(%q) prints %q", s, o)
		}
	})
}
