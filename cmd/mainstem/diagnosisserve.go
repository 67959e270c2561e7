package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Paths by which operators see what a node runs with and what it said.
const (
	configPath    = "/v1/cluster/config"
	recentLogPath = "/v1/cluster/log"
	paramLines    = "lines"
	droppedHeader = "Log-Lines-Before"
)

// servedConfig is what a node runs with, as it tells operators.
type servedConfig struct {
	NodeID   string  `json:"node_id"`
	Version  string  `json:"version"`
	Profile  string  `json:"profile"`
	Settings []shown `json:"settings"`
}

// diagnosis hands out the settings and the last lines of the log, both without what
// is secret in the settings.
type diagnosis struct {
	config  servedConfig
	recent  *recentLog
	secrets *strings.Replacer
}

func (n *node) newDiagnosis() diagnosis {
	return diagnosis{
		config: servedConfig{NodeID: n.cfg.cluster.nodeID, Version: buildVersion(), Profile: n.cfg.told.profile, Settings: n.cfg.told.settings},
		recent: n.recent, secrets: n.cfg.told.hiding(),
	}
}

// handle registers the endpoints. They tell paths, addresses and names, which are
// for those who may change the cluster.
func (d diagnosis) handle(mux *http.ServeMux, mayChange func(*http.Request) string) {
	for path, serve := range map[string]http.HandlerFunc{configPath: d.serveConfig, recentLogPath: d.serveLog} {
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
	n := recentLinesMax
	if asked := r.URL.Query().Get(paramLines); asked != "" {
		var err error
		if n, err = strconv.Atoi(asked); err != nil || n < 1 {
			problemJSON(w, r, http.StatusBadRequest, "BAD_REQUEST", "MALFORMED", fmt.Sprintf("lines is %q; use a number from 1 to %d", asked, recentLinesMax))
			return
		}
	}
	lines, before := d.recent.last(n)
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(droppedHeader, strconv.FormatUint(before, 10))
	out := bufio.NewWriter(w)
	for _, line := range lines {
		_, _ = d.secrets.WriteString(out, string(line)+"\n")
	}
	_ = out.Flush() // a client that left needs no answer
}

// toldSettings are the settings as operators may see them, and what they may not.
type toldSettings struct {
	profile  string
	settings []shown
	secrets  []string
}

// telling is the config of a node, which tells of it.
func (l loaded) telling() config {
	c := l.config
	c.told = l.tell()
	return c
}

// tell is what may be told of the settings, and what is to be hidden wherever it
// turns up.
func (l loaded) tell() toldSettings {
	t := toldSettings{profile: l.profile, settings: l.shown()}
	for i := range t.settings {
		t.settings[i].Value = withoutCredentials(t.settings[i].Value)
	}
	for _, s := range settings() {
		text := l.texts[s.key]
		if !s.secret || text == "" {
			continue
		}
		t.secrets = append(t.secrets, text)
		if !s.value.list {
			continue
		}
		for part := range strings.SplitSeq(text, ",") { // NAME=VALUE of a header
			if _, value, named := strings.Cut(part, "="); named && len(value) >= secretBytesMin {
				t.secrets = append(t.secrets, value)
			}
		}
	}
	return t
}

// secretBytesMin keeps words as short as "1" from being hidden in every line.
const secretBytesMin = 6

// hiding replaces secrets in text, and in text that is written as JSON.
func (t toldSettings) hiding() *strings.Replacer {
	var pairs []string
	for _, s := range t.secrets {
		pairs = append(pairs, s, hidden)
		if quoted, err := json.Marshal(s); err == nil && string(quoted[1:len(quoted)-1]) != s {
			pairs = append(pairs, string(quoted[1:len(quoted)-1]), hidden)
		}
	}
	return strings.NewReplacer(pairs...)
}

// withoutCredentials hides what a URL among the settings may carry of a password or
// a key.
func withoutCredentials(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User == nil && u.RawQuery == "" {
		return text
	}
	shown := u.Scheme + "://"
	if u.User != nil {
		shown += hidden + "@"
	}
	shown += u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		shown += "?" + hidden
	}
	return shown
}
