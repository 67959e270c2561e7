package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mainstem/cli"
	"mainstem/cluster"
	"mainstem/operator"
)

// operatedFake notes what it is asked to change.
type operatedFake struct {
	asked []string
	err   error
}

func (f *operatedFake) Status(context.Context) cluster.Status {
	return cluster.Status{Members: []cluster.Member{{NodeID: "a", Leader: true, Voter: true}}}
}
func (f *operatedFake) note(what string) error {
	f.asked = append(f.asked, what)
	return f.err
}
func (f *operatedFake) Remove(_ context.Context, id string) error   { return f.note("remove " + id) }
func (f *operatedFake) Transfer(_ context.Context, to string) error { return f.note("transfer " + to) }
func (f *operatedFake) Seek(_ context.Context, addr string) error   { return f.note("join " + addr) }

func TestWhoMayChangeTheCluster(t *testing.T) {
	const token = "a long secret"
	for name, c := range map[string]struct {
		remote, token string
		header        []string
		want          bool
	}{
		"a program here":                 {remote: "127.0.0.1:5", want: true},
		"a program here, IPv6":           {remote: "[::1]:5", want: true},
		"another machine":                {remote: "10.0.0.7:5"},
		"another machine with the token": {remote: "10.0.0.7:5", token: token, header: []string{"Authorization", "Bearer " + token}, want: true},
		"another machine, wrong token":   {remote: "10.0.0.7:5", token: token, header: []string{"Authorization", "Bearer x"}},
		"a program here, wrong token":    {remote: "127.0.0.1:5", token: token, header: []string{"Authorization", "Bearer x"}},
		"a program here, no token asked": {remote: "127.0.0.1:5", token: token, want: true},
		"an empty token opens nothing":   {remote: "10.0.0.7:5", header: []string{"Authorization", "Bearer "}},
		"a page in a browser here":       {remote: "127.0.0.1:5", header: []string{"Origin", "https://evil.example"}},
		"a form in a browser here":       {remote: "127.0.0.1:5", header: []string{"Sec-Fetch-Site", "cross-site"}},
		"behind a proxy here":            {remote: "127.0.0.1:5", header: []string{"X-Forwarded-For", "10.0.0.7"}},
		"behind a proxy, with the token": {remote: "127.0.0.1:5", token: token, header: []string{"Via", "1.1 x", "Authorization", "Bearer " + token}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := &operatedFake{}
			r := httptest.NewRequest("DELETE", operator.MembersPath+"/n3", nil)
			r.RemoteAddr = c.remote
			for i := 0; i < len(c.header); i += 2 {
				r.Header.Set(c.header[i], c.header[i+1])
			}
			w := httptest.NewRecorder()
			adminHandler(f, byPlace(c.token), nil).ServeHTTP(w, r)
			if got := w.Code == http.StatusOK; got != c.want || (len(f.asked) == 1) != c.want {
				t.Fatalf("got %d %s, asked %q; want it taken: %v", w.Code, w.Body, f.asked, c.want)
			}
		})
	}
}

func TestOperatorCommandsReachTheNode(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		asked string
		out   string
	}{
		"remove":            {[]string{"remove", "n3"}, "remove n3", "removed n3"},
		"remove, odd name":  {[]string{"remove", "a b/c"}, "remove a b/c", "removed a b/c"},
		"transfer":          {[]string{"transfer-leader"}, "transfer ", "handed over"},
		"transfer to a one": {[]string{"transfer-leader", "n2"}, "transfer n2", "handed over"},
		"join":              {[]string{"join", "10.0.0.1:4439"}, "join 10.0.0.1:4439", "joined"},
		"join as JSON":      {[]string{"join", "10.0.0.1:4439", "--json"}, "join 10.0.0.1:4439", `{"done":true}`},
		"members":           {[]string{"members"}, "", "leader"},
		"members as JSON":   {[]string{"members", "--json"}, "", `"node_id":"a"`},
	} {
		t.Run(name, func(t *testing.T) {
			f := &operatedFake{}
			srv := httptest.NewServer(adminHandler(f, byPlace(""), nil))
			defer srv.Close()
			var out, errs bytes.Buffer
			code := run(t.Context(), cli.Invocation{Args: append([]string{"cluster"}, c.args...), Environ: []string{"DS_URL=" + srv.URL}, Stdout: &out, Stderr: &errs})
			if code != 0 || !strings.Contains(out.String(), c.out) || strings.Join(f.asked, "; ") != c.asked {
				t.Fatalf("got exit code %d, %q, %q, asked %q", code, out.String(), errs.String(), f.asked)
			}
		})
	}
}

func TestOperatorCommandsSayWhyNot(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		err  error
		want string
	}{
		"unknown outcome":  {[]string{"remove", "n3"}, cluster.ErrOutcomeUnknown, "outcome unknown"},
		"no leader":        {[]string{"transfer-leader"}, cluster.ErrNoLeader, "no leader"},
		"something broken": {[]string{"remove", "n3"}, errors.New("the disk is full"), "the disk is full"},
		"not an address":   {[]string{"join", "here"}, nil, "HOST:PORT"},
		"no node":          {[]string{"remove"}, nil, "[load_config]"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(adminHandler(&operatedFake{err: c.err}, byPlace(""), nil))
			defer srv.Close()
			var out, errs bytes.Buffer
			code := run(t.Context(), cli.Invocation{Args: append([]string{"cluster", "--url", srv.URL}, c.args...), Stdout: &out, Stderr: &errs})
			if code != 1 || !strings.Contains(errs.String(), c.want) {
				t.Fatalf("got exit code %d and %q, want %q", code, errs.String(), c.want)
			}
		})
	}
}
