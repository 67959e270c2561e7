package settings

import (
	"testing"

	"mainstem/stream"
)

// TestWhatStreamsMayHold: any amount when nothing is said, as the Rust server in
// memory, and what is said, under either name, in both.
func TestWhatStreamsMayHold(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		env  []string
		want stream.Limits
	}{
		"on disk":       {nil, nil, stream.Limits{}},
		"in memory":     {[]string{"--storage-mode=memory"}, nil, stream.Limits{StreamBytes: 10 << 20, TotalBytes: 100 << 20}},
		"given":         {[]string{"--max-stream-bytes=5MiB", "--max-total-bytes=7"}, nil, stream.Limits{StreamBytes: 5 << 20, TotalBytes: 7}},
		"taken away":    {[]string{"--storage-mode=memory", "--max-stream-bytes=0", "--max-total-bytes=0"}, nil, stream.Limits{}},
		"by older name": {nil, []string{"DS_LIMITS__MAX_MEMORY_BYTES=104857600"}, stream.Limits{TotalBytes: 100 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := loadWith(t, Dev, c.args, c.env)
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Stored(); got != c.want {
				t.Fatalf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
