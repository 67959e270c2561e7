package main

import (
	"net"
	"net/http"
	"strings"

	"mainstem/auth"
	"mainstem/operator"
)

// byPlace returns what says why a request may not change the cluster of a server
// that lets everyone in, "" if it may.
func byPlace(token string) func(*http.Request) string {
	return func(r *http.Request) string { return mayChange(r, token) }
}

// guarded lets in whom the gate gives the right to administer, and nobody for
// being on this machine.
func guarded(g *auth.Gate, h http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, no := g.Admit(r)
		switch {
		case no != nil && no.Status == http.StatusServiceUnavailable:
			unavailable(w, r, no.Reason, no.Detail)
		case no != nil:
			w.Header().Set("WWW-Authenticate", `Bearer realm="mainstem"`)
			problemJSON(w, r, http.StatusUnauthorized, "UNAUTHORIZED", no.Reason, no.Detail)
		case !id.May(auth.Admin, ""):
			problemJSON(w, r, http.StatusForbidden, "FORBIDDEN", "NOT_ALLOWED", id.Name+" has no right to admin here; nothing was changed")
		default:
			h.ServeHTTP(w, r)
		}
	}
}

// mayChange returns why a request may not change the cluster, "" if it may.
// A bearer of the token may from anywhere; without it only a program on this
// machine may, but no page in a browser on this machine and nobody behind a
// proxy on it: both seem to come from loopback.
func mayChange(r *http.Request, token string) string {
	given, bears := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if bears && token != "" {
		if auth.SameSecret(given, token) {
			return ""
		}
		return "the token is not that of cluster.admin_token"
	}
	switch {
	case !fromLoopback(r.RemoteAddr):
		return "changes of the cluster are taken from loopback, or with the token of cluster.admin_token (" + operator.TokenVariable + ")"
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		return "changes of the cluster are not taken from a browser"
	case proxied(r) || r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Via") != "":
		return "changes of the cluster are not taken through a proxy without the token of cluster.admin_token"
	}
	return ""
}

func fromLoopback(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
