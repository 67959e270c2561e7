package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"mainstem/cluster"
	"mainstem/operator"
)

// keyChanger is what operators change about the keys of gossip.
type keyChanger interface {
	Keyrings(ctx context.Context) ([]cluster.NodeKeys, error)
	ChangeKeys(ctx context.Context, c cluster.KeyChange) error
}

// serveKeyring lists the keys of gossip by their fingerprints, and changes them.
func serveKeyring(mux *http.ServeMux, k keyChanger, mayChange func(*http.Request) string) {
	mux.HandleFunc("GET "+operator.KeyringPath, func(w http.ResponseWriter, r *http.Request) {
		list, err := k.Keyrings(r.Context())
		if err != nil {
			answerChange(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, list)
	})
	mux.HandleFunc("POST "+operator.KeyringPath, func(w http.ResponseWriter, r *http.Request) {
		if why := mayChange(r); why != "" {
			problemJSON(w, r, http.StatusForbidden, "FORBIDDEN", "NOT_AN_OPERATOR", why)
			return
		}
		var c cluster.KeyChange
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, adminBytesMax))
		if err == nil {
			err = json.Unmarshal(body, &c)
		}
		if err != nil { // without the error's text, which may hold a part of a key
			problemJSON(w, r, http.StatusBadRequest, "BAD_REQUEST", "MALFORMED", `the body is not JSON like {"do":"add","key":"base64"} or {"do":"use","fingerprint":"hexadecimal"}`)
			return
		}
		answerChange(w, r, k.ChangeKeys(r.Context(), c))
	})
}
