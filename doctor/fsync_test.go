package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestFsyncTestJudges(t *testing.T) {
	for name, c := range map[string]struct {
		most, rest time.Duration
		want       string
		ok         bool
	}{
		"an SSD":                       {time.Millisecond, time.Millisecond, "good", true},
		"one slow write in a thousand": {time.Millisecond, time.Second, "good", true},
		"a busy volume":                {30 * time.Millisecond, time.Second, "slow", true},
		"a network disk":               {300 * time.Millisecond, time.Second, "too slow", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := hdrhistogram.New(1, FsyncWorst.Microseconds(), 3)
			for i := range 1000 {
				d := c.most
				if i == 0 {
					d = c.rest
				}
				if err := h.RecordValue(d.Microseconds()); err != nil {
					t.Fatal(err)
				}
			}
			if got, ok := JudgeFsync(h); !strings.HasPrefix(got, c.want+":") || ok != c.ok {
				t.Fatalf("got %q, %v", got, ok)
			}
		})
	}
}
