package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"mainstem/doctor"
)

func TestARefusalIsAnAnswerThatBlamesUs(t *testing.T) {
	no, broken, gone := &refusedError{status: 403, text: "no"}, &refusedError{status: 503, text: "starting"}, errors.New("gone")
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"an answer":                         {nil, false},
		"silence":                           {gone, false},
		"a refusal":                         {no, true},
		"trouble there":                     {broken, false},
		"at its address, but not elsewhere": {fmt.Errorf("%w; %w", gone, no), true},
		"trouble, and a refusal elsewhere":  {fmt.Errorf("%w; %w", broken, no), false},
	} {
		if got := refused(c.err); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestWhoWasNamedAndIsSilentIsAMember(t *testing.T) {
	gone := errors.New("refused")
	for name, c := range map[string]struct {
		all  []doctor.Member
		want string
	}{
		"by address":            {[]doctor.Member{{URL: "http://x:1", Err: gone}, {ID: "a", URL: "http://x:1", Err: gone}, {ID: "b", URL: "http://x:2", Err: gone}}, "a@http://x:1 b@http://x:2"},
		"by host":               {[]doctor.Member{{URL: "http://x:9", Err: gone}, {ID: "a", URL: "http://x:1", Err: gone}, {ID: "b", URL: "http://y:1", Err: gone}}, "a@http://x:9 b@http://y:1"},
		"by being the one left": {[]doctor.Member{{URL: "http://v:9", Err: gone}, {ID: "a", URL: "http://x:1"}, {ID: "b", URL: "http://y:1", Err: gone}}, "a@http://x:1 b@http://v:9"},
		"not to be told": {[]doctor.Member{{URL: "http://x:9", Err: gone}, {ID: "a", URL: "http://x:1", Err: gone}, {ID: "b", URL: "http://x:2", Err: gone}},
			"@http://x:9 a@http://x:1 b@http://x:2"},
		"a stranger": {[]doctor.Member{{URL: "http://v:9", Err: gone}, {ID: "a", URL: "http://x:1"}}, "@http://v:9 a@http://x:1"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range withoutNameless(c.all) {
				got = append(got, e.ID+"@"+e.URL)
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Fatalf("got %s, want %s", text, c.want)
			}
		})
	}
}
