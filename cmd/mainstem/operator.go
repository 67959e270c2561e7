package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// mayChange returns why a request may not change the cluster, "" if it may.
// A bearer of the token may from anywhere; without it only a program on this
// machine may, but no page in a browser on this machine and nobody behind a
// proxy on it: both seem to come from loopback.
func mayChange(r *http.Request, token string) string {
	given, bears := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if bears && token != "" {
		if sameSecret(given, token) {
			return ""
		}
		return "the token is not that of cluster.admin_token"
	}
	switch {
	case !fromLoopback(r.RemoteAddr):
		return "changes of the cluster are taken from loopback, or with the token of cluster.admin_token (DS_CLUSTER__ADMIN_TOKEN)"
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		return "changes of the cluster are not taken from a browser"
	case r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Via") != "":
		return "changes of the cluster are not taken through a proxy without the token of cluster.admin_token"
	}
	return ""
}

// sameSecret takes as long for a guess that is nearly right as for any other.
func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func fromLoopback(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
