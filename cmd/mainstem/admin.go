package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"mainstem/cluster"
	"mainstem/operator"
	"mainstem/settings"
	"mainstem/storage"
)

// adminBytesMax bounds the body of a request to change the cluster.
const adminBytesMax = 4096

// operated is what operators change about a cluster.
type operated interface {
	Status(ctx context.Context) cluster.Status
	Remove(ctx context.Context, id string) error
	Transfer(ctx context.Context, to string) error
	Seek(ctx context.Context, addr string) error
}

// adminHandler serves the operator's endpoints. Any node takes a call; the
// leader carries it out.
func adminHandler(c operated, mayChange func(*http.Request) string, sum func(context.Context) (storage.Sum, error)) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+operator.ChecksumPath, checksumHandler(sum))
	mux.HandleFunc("GET "+operator.MembersPath, func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, c.Status(r.Context()).Members)
	})
	changing := func(pattern string, do func(r *http.Request, q operator.Change) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if why := mayChange(r); why != "" {
				problemJSON(w, r, http.StatusForbidden, "FORBIDDEN", "NOT_AN_OPERATOR", why)
				return
			}
			q, err := readChange(w, r)
			if err != nil {
				problemJSON(w, r, http.StatusBadRequest, "BAD_REQUEST", "MALFORMED", err.Error())
				return
			}
			answerChange(w, r, do(r, q))
		})
	}
	changing("DELETE "+operator.MembersPath+"/{id}", func(r *http.Request, _ operator.Change) error { return c.Remove(r.Context(), r.PathValue("id")) })
	changing("POST "+operator.TransferPath, func(r *http.Request, q operator.Change) error { return c.Transfer(r.Context(), q.To) })
	changing("POST "+operator.JoinPath, func(r *http.Request, q operator.Change) error { return c.Seek(r.Context(), q.Address) })
	return mux
}

func readChange(w http.ResponseWriter, r *http.Request) (q operator.Change, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, adminBytesMax))
	if err != nil || len(body) == 0 {
		return q, err
	}
	if err := json.Unmarshal(body, &q); err != nil {
		return q, fmt.Errorf("the body is not the JSON that was expected: %w", err)
	}
	if r.URL.Path == operator.JoinPath {
		return q, settings.CheckAddress(q.Address)
	}
	return q, nil
}

func answerChange(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case err == nil:
		writeJSON(w, http.StatusOK, map[string]any{"done": true})
	case cluster.Refused(err):
		problemJSON(w, r, http.StatusConflict, "CONFLICT", "REFUSED", err.Error())
	case errors.Is(err, cluster.ErrOutcomeUnknown):
		unavailable(w, r, "OUTCOME_UNKNOWN", err.Error()+"; look at the members before you repeat it")
	default:
		unavailable(w, r, "NOT_CHANGED", err.Error())
	}
}

// checksumHandler reads the whole copy for each answer, one answer at a time so
// that asking often does not keep the disk from others. It is for tests and
// operators: two nodes whose answers have equal applied indexes and different
// sums have diverged.
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
		writeJSON(w, http.StatusOK, map[string]any{"applied": s.Applied, "sum": s.Hash, "keys": s.Keys, "bytes": s.Bytes})
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that left needs no answer
}
