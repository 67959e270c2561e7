package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mainstem/cluster"
	"mainstem/doctor"
	"mainstem/operator"
)

const (
	examineTimeout  = 5 * time.Second // of one answer
	examineBytesMax = 32 << 20        // of one answer
	examineAtOnce   = 8               // members
)

// examiner asks all members of a cluster how they are.
type examiner struct {
	urls  []string // of some members at least
	token string   // "" for none
}

// examine asks the nodes that were named, and then the members that those know of.
// The result is sorted by node id; each node is in it once.
func (x examiner) examine(ctx context.Context) []doctor.Member {
	named := x.askAll(ctx, x.urls, nil)
	known := map[string]bool{}
	var all []doctor.Member
	for _, e := range named {
		if e.Answers() && known[e.ID] {
			continue // one node by two names
		}
		known[e.ID] = e.Answers()
		all = append(all, e)
	}
	urls, ids := x.others(all)
	all = append(all, x.askAll(ctx, urls, ids)...)
	all = withoutNameless(all)
	for i := range all {
		all[i].Refused = refused(all[i].Err)
	}
	slices.SortStableFunc(all, func(a, b doctor.Member) int { return cmp.Compare(a.Name(), b.Name()) })
	return all
}

// refused reports whether an error is an answer by which a node is there, and does
// not tell us how it is.
func refused(err error) bool {
	var answer *refusedError
	return errors.As(err, &answer) && answer.status < http.StatusInternalServerError
}

// withoutNameless joins those that were named and did not answer with the members
// that they are: by their address, by their host if only one member is there, or
// because no other is left.
func withoutNameless(all []doctor.Member) (out []doctor.Member) {
	var silent []*doctor.Member // members that did not answer and were not named
	nameless := 0
	for i := range all {
		if all[i].ID == "" {
			nameless++
		} else if !all[i].Answers() {
			silent = append(silent, &all[i])
		}
	}
	for _, e := range all {
		if e.ID != "" {
			continue
		}
		at := whoIsAt(e.URL, silent)
		if at < 0 && nameless == 1 && len(silent) == 1 {
			at = 0
		}
		if at < 0 {
			out = append(out, e)
			continue
		}
		m := silent[at]
		if silent = slices.Delete(silent, at, at+1); m.URL != e.URL {
			m.URL, m.Err = e.URL, fmt.Errorf("%w; nor at the address that the others know: %w", e.Err, m.Err)
		}
	}
	for _, e := range all {
		if e.ID != "" {
			out = append(out, e)
		}
	}
	return out
}

// whoIsAt is the place of the one member with that address, -1 if none can be told.
func whoIsAt(address string, members []*doctor.Member) int {
	host, name := hostOf(address)
	if i := slices.IndexFunc(members, func(e *doctor.Member) bool { h, _ := hostOf(e.URL); return h == host }); i >= 0 {
		return i
	}
	sameName := func(e *doctor.Member) bool { _, n := hostOf(e.URL); return n == name }
	i := slices.IndexFunc(members, sameName)
	if i >= 0 && slices.IndexFunc(members[i+1:], sameName) >= 0 {
		return -1
	}
	return i
}

// hostOf is the host of a URL with its port, and without.
func hostOf(address string) (host, name string) {
	u, err := url.Parse(address)
	if err != nil {
		return address, address
	}
	return u.Host, u.Hostname()
}

// others are the members that were not named, as those that answered know them.
// They are reached as the named ones are: with TLS or without.
func (x examiner) others(all []doctor.Member) (urls, ids []string) {
	seen := map[string]bool{}
	scheme := ""
	for _, e := range all {
		if e.Answers() {
			seen[e.ID] = true
			scheme = cmp.Or(scheme, strings.SplitN(e.URL, "://", 2)[0])
		}
	}
	addresses := map[string]string{}
	for _, e := range all {
		for _, m := range e.Status.Members {
			if !seen[m.NodeID] && (addresses[m.NodeID] == "" || m.HTTPAddr != "") {
				addresses[m.NodeID] = m.HTTPAddr
			}
		}
	}
	for id, address := range addresses {
		ids = append(ids, id)
		if address != "" && !strings.Contains(address, "://") {
			addresses[id] = scheme + "://" + address
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		urls = append(urls, addresses[id])
	}
	return urls, ids
}

// askAll asks several nodes at once. ids, if given, are who they are expected to be.
func (x examiner) askAll(ctx context.Context, urls, ids []string) []doctor.Member {
	out := make([]doctor.Member, len(urls))
	var g errgroup.Group
	g.SetLimit(examineAtOnce)
	for i, address := range urls {
		id := ""
		if ids != nil {
			id = ids[i]
		}
		g.Go(func() error {
			out[i] = x.askOne(ctx, address, id)
			return nil
		})
	}
	_ = g.Wait() // no function returns an error
	return out
}

func (x examiner) askOne(ctx context.Context, address, id string) doctor.Member {
	e := doctor.Member{ID: id, URL: address}
	if address == "" {
		e.Err = errors.New("no member that answers knows its address")
		return e
	}
	body, err := x.fetch(ctx, address, operator.StatusPath, examineTimeout)
	if err == nil {
		err = json.Unmarshal(body, &e.Status)
	}
	switch {
	case err != nil:
		e.Err = err
		return e
	case e.Status.NodeID == "":
		e.Err = fmt.Errorf("%s answers, but not as a node of Mainstem", address)
		return e
	case id != "" && e.Status.NodeID != id:
		e.Err = fmt.Errorf("at its address %s node %s answers", address, e.Status.NodeID)
		e.Status = cluster.Status{}
		return e
	}
	e.ID = e.Status.NodeID
	if body, err := x.fetch(ctx, address, operator.MetricsPath, examineTimeout); err == nil {
		e.Metrics = doctor.ParseMetrics(body)
	}
	var c operator.Config
	if body, e.SettingsErr = x.fetch(ctx, address, operator.ConfigPath, examineTimeout); e.SettingsErr == nil {
		e.SettingsErr = json.Unmarshal(body, &c)
	}
	if e.SettingsErr == nil {
		e.Settings = map[string]string{}
		for _, s := range c.Settings {
			e.Settings[s.Key] = s.Value
		}
	}
	return e
}

// fetch asks for one page. An error that is an answer is a *refusedError.
func (x examiner) fetch(ctx context.Context, base, path string, within time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	if x.token != "" {
		req.Header.Set("Authorization", "Bearer "+x.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, examineBytesMax+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", path, err)
	case len(body) > examineBytesMax:
		return nil, fmt.Errorf("%s is longer than %d bytes", path, examineBytesMax)
	case res.StatusCode != http.StatusOK:
		return body, &refusedError{status: res.StatusCode, text: fmt.Sprintf("%s answered %s: %s", base, res.Status, detailOf(body))}
	}
	return body, nil
}

// asURL makes HOST:PORT a URL.
func asURL(address string) string {
	if !strings.Contains(address, "://") {
		return "http://" + address
	}
	return address
}
