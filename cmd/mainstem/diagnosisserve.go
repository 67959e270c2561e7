package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"mainstem/operator"
)

// diagnosis hands out the settings and the last lines of the log, both without what
// is secret in the settings.
type diagnosis struct {
	config  operator.Config
	recent  *recentLog
	secrets *strings.Replacer
}

func (n *node) newDiagnosis() diagnosis {
	return diagnosis{
		config: operator.Config{NodeID: n.cfg.Cluster.NodeID, Version: buildVersion(), Profile: n.cfg.Told.Profile, Settings: n.cfg.Told.Settings},
		recent: n.recent, secrets: n.cfg.Told.Hiding(),
	}
}

// handle registers the endpoints. They tell paths, addresses and names, which are
// for those who may change the cluster.
func (d diagnosis) handle(mux *http.ServeMux, mayChange func(*http.Request) string) {
	for path, serve := range map[string]http.HandlerFunc{operator.ConfigPath: d.serveConfig, operator.LogPath: d.serveLog} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			if why := mayChange(r); why != "" {
				problemJSON(w, r, http.StatusForbidden, "FORBIDDEN", "NOT_AN_OPERATOR", why)
				return
			}
			serve(w, r)
		})
	}
}

func (d diagnosis) serveConfig(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, d.config)
}

func (d diagnosis) serveLog(w http.ResponseWriter, r *http.Request) {
	n := operator.LogLinesMax
	if asked := r.URL.Query().Get(operator.ParamLines); asked != "" {
		var err error
		if n, err = strconv.Atoi(asked); err != nil || n < 1 {
			problemJSON(w, r, http.StatusBadRequest, "BAD_REQUEST", "MALFORMED", fmt.Sprintf("lines is %q; use a number from 1 to %d", asked, operator.LogLinesMax))
			return
		}
	}
	lines, before := d.recent.last(n)
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(operator.LinesBeforeHeader, strconv.FormatUint(before, 10))
	out := bufio.NewWriter(w)
	for _, line := range lines {
		_, _ = d.secrets.WriteString(out, string(line)+"\n")
	}
	_ = out.Flush() // a client that left needs no answer
}
