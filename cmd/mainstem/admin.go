package main

import (
	"encoding/json"
	"net/http"

	"mainstem/storage"
)

// checksumPath is for tests and operators: two nodes whose answers have equal
// applied indexes and different sums have diverged.
const checksumPath = "/v1/cluster/checksum"

// checksumHandler reads the whole copy for each answer.
func checksumHandler(engine *storage.Engine) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		sum, err := engine.Checksum(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(map[string]any{ // a client that left needs no answer
			"applied": sum.Applied, "sum": sum.Hash, "keys": sum.Keys, "bytes": sum.Bytes,
		})
	}
}
