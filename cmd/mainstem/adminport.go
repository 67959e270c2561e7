package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"

	"mainstem/operator"
	"mainstem/phase"
)

// listenForAdmin takes the port of operators' tools, if there shall be one.
func (n *node) listenForAdmin() (err error) {
	if n.cfg.Server.AdminAddr == "" {
		return nil
	}
	if n.admins, err = net.Listen("tcp", n.cfg.Server.AdminAddr); err != nil {
		return fmt.Errorf("--admin-addr %s: %w", n.cfg.Server.AdminAddr, err)
	}
	n.opened.push("admin port", closeOnce(n.admins))
	return nil
}

// serveAdmin answers on the admin port until it is closed, from the moment in
// which it is taken: a start that hangs can be looked at. There is no limit to
// the time of an answer, since a profile is one.
func (n *node) serveAdmin() error {
	if n.admins == nil {
		return nil
	}
	server := &http.Server{Handler: adminPort(n.door), ReadHeaderTimeout: n.cfg.Server.ReadHeaderTimeout, ErrorLog: n.server.ErrorLog}
	err := server.Serve(n.admins)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return server.Close() // of profiles that are still being taken
	}
	return phase.Start.In(fmt.Errorf("serve operators on %s: %w", n.admins.Addr(), err))
}

// dismissAdmin closes the admin port: operators may look until the end.
func (n *node) dismissAdmin() {
	if n.admins != nil {
		_ = n.admins.Close() // serveAdmin returns with it
	}
}

// forOperators reports paths that are served on the port of operators' tools, and
// only there when there is one: the metrics, and all about the cluster.
func forOperators(path string) bool {
	return path == operator.MetricsPath || strings.HasPrefix(path, operator.PathPrefix)
}

// probes are served on both ports.
var probes = []string{operator.LivePath, operator.StartPath, operator.ReadyPath, operator.HealthPath}

// clientPort serves all but profiles, and without what operators get elsewhere.
func (n *node) clientPort() http.Handler {
	if n.admins == nil {
		return n.door
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if forOperators(r.URL.Path) {
			problemJSON(w, r, http.StatusNotFound, "NOT_FOUND", "NO_ROUTE", "this is served at server.admin_address, and not to clients")
			return
		}
		n.door.ServeHTTP(w, r)
	})
}

// adminPort serves profiles, and what is for operators. Streams are not served: a
// port for operators is easily left out of the access control in front of the other.
func adminPort(front http.Handler) http.Handler {
	profiles := map[string]http.HandlerFunc{
		"cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, isProfile := strings.CutPrefix(r.URL.Path, operator.ProfilesPath)
		switch {
		case isProfile && profiles[name] != nil:
			profiles[name](w, r)
		case isProfile:
			pprof.Index(w, r)
		case forOperators(r.URL.Path) || slices.Contains(probes, r.URL.Path):
			front.ServeHTTP(w, r)
		default:
			problemJSON(w, r, http.StatusNotFound, "NOT_FOUND", "NO_ROUTE", "this port serves "+operator.ProfilesPath+", "+operator.MetricsPath+", "+strings.Join(probes, ", ")+" and all below "+operator.PathPrefix)
		}
	})
}
