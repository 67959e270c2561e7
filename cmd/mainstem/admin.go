package main

import (
	"context"
	"encoding/json"
	"net/http"

	"mainstem/storage"
)

// checksumPath is for tests and operators: two nodes whose answers have equal
// applied indexes and different sums have diverged.
const checksumPath = "/v1/cluster/checksum"

// checksumHandler reads the whole copy for each answer, one answer at a time so
// that asking often does not keep the disk from others.
func checksumHandler(sum func(context.Context) (storage.Sum, error)) http.HandlerFunc {
	turn := make(chan struct{}, 1)
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-r.Context().Done():
			return
		}
		s, err := sum(r.Context())
		if err != nil {
			unavailable(w, r, "CHECKSUM", "the copy could not be read to its end: "+err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_ = json.NewEncoder(w).Encode(map[string]any{ // a client that left needs no answer
			"applied": s.Applied, "sum": s.Hash, "keys": s.Keys, "bytes": s.Bytes,
		})
	}
}
