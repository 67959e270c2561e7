package main

import (
	"testing"

	"github.com/spf13/pflag"
)

// TestOneBudgetSizesWhatHoldsData, and what is named on its own has its own size.
func TestOneBudgetSizesWhatHoldsData(t *testing.T) {
	for name, tt := range map[string]struct {
		environ               []string
		cache, memTable, tail int64
	}{
		"default":     {nil, 64 << 20, 32 << 20, 64 << 20},
		"1 GiB":       {[]string{"DS_STORAGE__MEMORY_BYTES=1GiB"}, 256 << 20, 128 << 20, 256 << 20},
		"much":        {[]string{"DS_STORAGE__MEMORY_BYTES=64GiB"}, 16 << 30, memTableMost, 16 << 30},
		"one by hand": {[]string{"DS_STORAGE__MEMORY_BYTES=1GiB", "DS_STORAGE__CACHE_BYTES=8MiB"}, 8 << 20, 128 << 20, 256 << 20},
	} {
		c, err := load(commandDev, pflag.NewFlagSet("dev", pflag.ContinueOnError), tt.environ)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s := c.storage.parts(); s != (memoryParts{tt.cache, tt.memTable, tt.tail}) {
			t.Errorf("%s: got %+v, want %d, %d, %d", name, s, tt.cache, tt.memTable, tt.tail)
		}
	}
}
