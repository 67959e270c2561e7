package scrub

import (
	"slices"
	"strings"
	"testing"
)

func TestWhoIsOdd(t *testing.T) {
	three, five := strings.Fields("a b c"), strings.Fields("a b c d e")
	for name, c := range map[string]struct {
		voters   []string
		sums     string // member=sum
		outcome  outcome
		complete bool
		odd      string
	}{
		"nobody has spoken":                          {three, "", waiting, false, ""},
		"one has spoken":                             {three, "a=1", waiting, false, ""},
		"two agree, one is silent":                   {three, "a=1 b=1", waiting, false, ""},
		"all agree":                                  {three, "a=1 b=1 c=1", equal, true, ""},
		"one of three differs":                       {three, "a=1 b=2 c=1", odd, true, "b"},
		"all of three differ":                        {three, "a=1 b=2 c=3", undecided, true, ""},
		"two differ, the third may tell":             {three, "a=1 b=2", undecided, false, ""},
		"one of two differs from the other":          {three[:2], "a=1 b=2", undecided, true, ""},
		"a single node":                              {three[:1], "a=1", equal, true, ""},
		"two of five differ, each in its way":        {five, "a=1 b=2 c=1 d=3 e=1", odd, true, "b d"},
		"two of five differ in the same way":         {five, "a=1 b=2 c=1 d=2 e=1", odd, true, "b d"},
		"a majority of those who spoke is not one":   {five, "a=1 b=1 c=2", undecided, false, ""},
		"a majority of all, others silent":           {five, "a=1 b=1 c=1 d=2", odd, false, "d"},
		"a split":                                    {five[:4], "a=1 b=1 c=2 d=2", undecided, true, ""},
		"a member without a vote is odd":             {three, "a=1 b=1 l=2", odd, false, "l"},
		"a member without a vote makes no majority":  {three, "a=1 b=2 l=2", undecided, false, ""},
		"a member without a vote agrees":             {three, "a=1 b=1 c=1 l=1", equal, true, ""},
		"many without a vote do not outvote a voter": {three[:1], "a=1 l=2 m=2", odd, true, "l m"},
		"no voters are known":                        {nil, "a=1 b=2", undecided, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			sums := map[string]string{}
			for _, pair := range strings.Fields(c.sums) {
				id, sum, _ := strings.Cut(pair, "=")
				sums[id] = sum
			}
			got := judge(sums, c.voters)
			if got.outcome != c.outcome || got.complete != c.complete || !slices.Equal(got.odd, strings.Fields(c.odd)) {
				t.Fatalf("got %s, complete %v, odd %v; want %s, %v, [%s]",
					outcomeNames[got.outcome], got.complete, got.odd, outcomeNames[c.outcome], c.complete, c.odd)
			}
		})
	}
}
