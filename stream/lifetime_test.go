package stream

import (
	"errors"
	"regexp"
	"strconv"
	"testing"
	"time"
)

func ttl(t testing.TB, seconds uint64) Lifetime {
	t.Helper()
	s := strconv.FormatUint(seconds, 10)
	l, err := ParseLifetime(&s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func expiresAt(t testing.TB, at Time) Lifetime {
	t.Helper()
	s := time.UnixMilli(int64(at)).UTC().Format("2006-01-02T15:04:05.000Z07:00")
	l, err := ParseLifetime(nil, &s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTTLHasOneSpelling(t *testing.T) {
	tests := map[string]bool{
		"0": true, "1": true, "3600": true, "9007199254": true,
		"": false, " ": false, "-1": false, "+3600": false, "03600": false, "00": false,
		"3600.0": false, "3.6e3": false, "1e3": false, "0x10": false, "1_000": false,
		" 60": false, "60 ": false, "60s": false, "٣": false,
		"9007199255": false, "9007199254740993": false, "99999999999999999999999": false,
	}
	for value, ok := range tests {
		t.Run(value, func(t *testing.T) {
			l, err := ParseLifetime(&value, nil)
			if !ok {
				if !errors.Is(err, &Rejection{Code: Malformed}) {
					t.Fatalf("TTL %q gives %v, %v; want it refused", value, l, err)
				}
				return
			}
			if err != nil || l.TTLText() != value || l.ExpiresAtText() != "" || l.IsNone() {
				t.Fatalf("TTL %q reads back as %q, %v", value, l.TTLText(), err)
			}
			if window, isTTL := l.TTL(); !isTTL || strconv.FormatInt(int64(window/time.Second), 10) != value {
				t.Fatalf("TTL %q is a window of %v", value, window)
			}
		})
	}
}

func TestExpiresAtIsRFC3339(t *testing.T) {
	tests := map[string]struct {
		in   string
		want Time
		ok   bool
	}{
		"Z":                      {"2030-01-31T12:00:00Z", 1896091200000, true},
		"offset":                 {"2030-01-31T14:00:00+02:00", 1896091200000, true},
		"negative offset":        {"2030-01-31T07:30:00-04:30", 1896091200000, true},
		"fraction":               {"2030-01-31T12:00:00.25Z", 1896091200250, true},
		"long fraction":          {"2030-01-31T12:00:00.250999999Z", 1896091200250, true},
		"before 1970":            {"1960-01-01T00:00:00Z", -315619200000, true},
		"year 9999":              {"9999-12-31T23:59:59Z", 253402300799000, true},
		"leap day":               {"2028-02-29T00:00:00Z", 1835395200000, true},
		"no zone":                {"2030-01-31T12:00:00", 0, false},
		"date only":              {"2030-01-31", 0, false},
		"space":                  {"2030-01-31 12:00:00Z", 0, false},
		"empty":                  {"", 0, false},
		"seconds":                {"1896091200", 0, false},
		"no such day":            {"2030-02-30T12:00:00Z", 0, false},
		"no such month":          {"2030-13-01T12:00:00Z", 0, false},
		"no such hour":           {"2030-01-31T24:00:00Z", 0, false},
		"hour of one digit":      {"2030-01-31T1:00:00Z", 0, false},
		"comma fraction":         {"2030-01-31T12:00:00,5Z", 0, false},
		"offset beyond a day":    {"2030-01-31T12:00:00+24:00", 0, false},
		"offset minutes":         {"2030-01-31T12:00:00+01:60", 0, false},
		"offset without colon":   {"2030-01-31T12:00:00+0100", 0, false},
		"year of five digits":    {"12030-01-31T12:00:00Z", 0, false},
		"mail date":              {"Thu, 31 Jan 2030 12:00:00 GMT", 0, false},
		"trailing white space":   {"2030-01-31T12:00:00Z ", 0, false},
		"fraction without digit": {"2030-01-31T12:00:00.Z", 0, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l, err := ParseLifetime(nil, &tt.in)
			if !tt.ok {
				if !errors.Is(err, &Rejection{Code: Malformed}) {
					t.Fatalf("Expires-At %q gives %v, %v; want it refused", tt.in, l, err)
				}
				return
			}
			if err != nil || l.at != tt.want || l.ExpiresAtText() != tt.in || l.TTLText() != "" || l.IsNone() {
				t.Fatalf("Expires-At %q gives %v, %v; want %d, with its spelling kept", tt.in, l, err, tt.want)
			}
		})
	}
}

func TestLifetimesDoNotMix(t *testing.T) {
	seconds, at := "60", "2030-01-31T12:00:00Z"
	if _, err := ParseLifetime(&seconds, &at); !errors.Is(err, &Rejection{Code: Malformed}) {
		t.Fatalf("both headers: %v; want Malformed", err)
	}
	if l, err := ParseLifetime(nil, nil); err != nil || !l.IsNone() || l != (Lifetime{}) {
		t.Fatalf("neither header: %v, %v", l, err)
	}
	other := "2030-01-31T13:00:00+01:00"
	a, _ := ParseLifetime(nil, &at)
	b, _ := ParseLifetime(nil, &other)
	if !a.Same(b) {
		t.Fatal("one instant in two spellings is not the same lifetime")
	}
	if a.Same(Lifetime{}) || ttl(t, 0).Same(Lifetime{}) || ttl(t, 60).Same(ttl(t, 61)) || a.Same(ttl(t, 60)) {
		t.Fatal("different lifetimes are called the same")
	}
}

func TestDeadlines(t *testing.T) {
	const now = 1_000_000
	tests := map[string]struct {
		life Lifetime
		want Time
	}{
		"none":             {Lifetime{}, 0},
		"TTL":              {ttl(t, 3), now + 3000},
		"TTL 0":            {ttl(t, 0), now},
		"largest TTL":      {ttl(t, TTLSecondsMax), now + TTLSecondsMax*1000},
		"expires at":       {expiresAt(t, 5_000_000), 5_000_000},
		"expired long ago": {expiresAt(t, 5), 5},
		"before 1970":      {expiresAt(t, -5000), 1}, // any instant in the past: 0 means never
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tt.life.deadline(now); got != tt.want {
				t.Fatalf("deadline(%d) = %d, want %d", now, got, tt.want)
			}
		})
	}
	if got := ttl(t, 0).deadline(0); got == 0 {
		t.Fatal("TTL 0 at machine time 0 never ends")
	}
}

func FuzzTTLFollowsTheGrammar(f *testing.F) {
	grammar := regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	for _, s := range []string{"0", "00", "1", "60", "-1", "1e3", "9007199254", "9007199255"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseLifetime(&s, nil)
		n, convErr := strconv.ParseUint(s, 10, 64)
		want := grammar.MatchString(s) && convErr == nil && n <= TTLSecondsMax
		if (err == nil) != want {
			t.Fatalf("TTL %q: %v; want accepted = %v", s, err, want)
		}
		if err == nil && l.TTLText() != s {
			t.Fatalf("TTL %q reads back as %q", s, l.TTLText())
		}
	})
}
