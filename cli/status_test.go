package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mainstem/operator"
)

func TestClusterStatusShowsWhatANodeAnswers(t *testing.T) {
	const answer = `{"node_id":"b","cluster_id":"c1","leader":"a","term":7,"commit_index":42,"failure_tolerance":1,"out_of_space":["d"],"members":[` +
		`{"node_id":"a","peer_addr":"h1:4438","http_addr":"h1:4437","version":"v1","voter":true,"leader":true,"reachable":true,"applied":42},` +
		`{"node_id":"d","peer_addr":"h4:4438","http_addr":"h4:4437","version":"v1","voter":false,"reachable":false,"applied":40,"lag":2,"disk":{"level":"full","free_bytes":20,"total_bytes":1000}}]}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != operator.StatusPath {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write([]byte(answer))
	}))
	defer srv.Close()
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"for people": {nil, []string{"cluster c1, as node b sees it", "leader a, term 7, committed 42; 1 more may fail", "a     leader   yes", "d     learner  no         40       2    full, 2% free", "no data is taken: the disk of d is full"}},
		"as JSON":    {[]string{"--json"}, []string{answer}},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, code := command(t, nil, append([]string{"cluster", "status", "--url", srv.URL + "/"}, c.args...)...)
			if code != 0 {
				t.Fatalf("got exit code %d and %q", code, errs)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("got %q, want it to hold %q", out, want)
				}
			}
		})
	}
}

func TestClusterStatusSaysWhatWentWrong(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "still starting", http.StatusServiceUnavailable)
	}))
	defer srv.Close()
	_, errs, code := command(t, nil, "cluster", "status", "--url", srv.URL)
	if code != 1 || !strings.Contains(errs, "503") || !strings.Contains(errs, "still starting") {
		t.Fatalf("got exit code %d and %q", code, errs)
	}
}
