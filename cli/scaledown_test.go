package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"mainstem/cluster"
)

// roster is a cluster's list of members. stale answers of the list are as it was
// before the last removal.
type roster struct {
	names   []string
	old     []string
	stale   int
	refuse  bool // every removal
	failing int  // removals to answer 503
	removed []string
}

func (r *roster) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method == http.MethodGet {
		names := r.names
		if r.stale > 0 {
			r.stale--
			names = r.old
		}
		members := []cluster.Member{}
		for _, n := range names {
			members = append(members, cluster.Member{NodeID: n})
		}
		_ = json.NewEncoder(w).Encode(members)
		return
	}
	name := path.Base(q.URL.Path)
	at := slices.Index(r.names, name)
	switch {
	case r.failing > 0:
		r.failing--
		http.Error(w, `{"detail":"no leader"}`, http.StatusServiceUnavailable)
	case r.refuse || at < 0:
		http.Error(w, `{"detail":"no quorum without it"}`, http.StatusConflict)
	default:
		r.old = slices.Clone(r.names)
		r.names = slices.Delete(r.names, at, at+1)
		r.removed = append(r.removed, name)
		_, _ = w.Write([]byte("{}"))
	}
}

func TestScaleDownRemovesFromTheHighestOn(t *testing.T) {
	all := []string{"m-10", "m-0", "m-2", "m-9", "m-1", "other-7", "m-x", "m-07", "m-"}
	for name, c := range map[string]struct {
		roster roster
		to     int
		want   string // removed, in order
		err    string
	}{
		"five to three":             {roster{names: all}, 3, "m-10 m-9", ""},
		"nothing above":             {roster{names: all}, 11, "", ""},
		"an election in between":    {roster{names: all, failing: 2}, 3, "m-10 m-9", ""},
		"a list from before":        {roster{names: all[1:4], old: all[:4], stale: 2}, 3, "m-9", ""},
		"a refusal that stands":     {roster{names: all, refuse: true}, 3, "", "no quorum without it"},
		"a node outside a cluster":  {roster{}, 3, "", "belongs to no cluster"},
		"a cluster without leaders": {roster{names: all, failing: 1 << 30}, 3, "", "no leader"},
	} {
		t.Run(name, func(t *testing.T) {
			c.roster.names = slices.Clone(c.roster.names)
			server := httptest.NewServer(&c.roster)
			defer server.Close()
			var out bytes.Buffer
			a := &asker{url: server.URL, out: &out}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if c.err != "" && !c.roster.refuse {
				ctx, cancel = context.WithTimeout(context.Background(), 100*time.Millisecond)
			}
			defer cancel()
			err := a.scaleDown(ctx, scaleDown{prefix: "m-", to: c.to, pause: time.Millisecond})
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("got error %v, want %q", err, c.err)
			}
			if got := strings.Join(c.roster.removed, " "); got != c.want {
				t.Errorf("removed %q, want %q", got, c.want)
			}
			for _, n := range strings.Fields(c.want) {
				if !strings.Contains(out.String(), "removed "+n+"\n") {
					t.Errorf("the output does not say that %s was removed:\n%s", n, out.String())
				}
			}
		})
	}
}
