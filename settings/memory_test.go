package settings

import (
	"testing"

	"github.com/spf13/pflag"
)

// TestOneBudgetSizesWhatHoldsData, and what is named on its own has its own size.
func TestOneBudgetSizesWhatHoldsData(t *testing.T) {
	for name, tt := range map[string]struct {
		environ               []string
		cache, memTable, tail int64 // chunks have as much as tails
	}{
		"default":     {nil, 64 << 20, 32 << 20, 64 << 20},
		"1 GB":        {[]string{"DS_STORAGE__MEMORY_BYTES=1000MB"}, 200e6, 100e6, 200e6},
		"much":        {[]string{"DS_STORAGE__MEMORY_BYTES=60000MB"}, 12e9, memTableMost, 12e9},
		"one by hand": {[]string{"DS_STORAGE__MEMORY_BYTES=1000MB", "DS_STORAGE__CACHE_BYTES=8MiB"}, 8 << 20, 100e6, 200e6},
	} {
		c, err := Load(Dev, pflag.NewFlagSet("dev", pflag.ContinueOnError), tt.environ)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s := c.Storage.Parts(); s != (memoryParts{tt.cache, tt.memTable, tt.tail, tt.tail}) {
			t.Errorf("%s: got %+v, want %d, %d, %d", name, s, tt.cache, tt.memTable, tt.tail)
		}
	}
}
