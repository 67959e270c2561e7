package test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	bearerChecks   = 5 // in test/conformance/bearer.mjs
	strangerChecks = 3 // in test/conformance/page.mjs
	pageWithin     = time.Minute
)

// told is what a run of the client's checks says.
type told struct {
	Checks        []string
	Error, Origin string
}

// TestTheTypeScriptClientWithABearerTokenInNodeAndInAPage runs the same checks in
// Node and in a headless Chromium, whose page comes from another origin. A page of
// an origin that is not named gets nothing.
func TestTheTypeScriptClientWithABearerTokenInNodeAndInAPage(t *testing.T) {
	harness.Require(t)
	pages := startPages(t)
	c, key := startGuarded(t, 3, "create,append,read,delete,admin", append(steadyRaft, "--cors-origins", pages.URL)...)
	follower := c.Followers()[0]

	out := node(t, clientsWithin, nil, "bearer.mjs", follower.URL(), key)
	if out.err != nil {
		t.Fatalf("%v\n%s", out.err, out.text)
	}
	lines := bytes.Split(bytes.TrimSpace(out.text), []byte("\n"))
	var got told
	if err := json.Unmarshal(lines[len(lines)-1], &got); err != nil {
		t.Fatalf("%v in %s", err, out.text)
	}
	if len(got.Checks) != bearerChecks {
		t.Fatalf("in Node: %d checks, want %d: %q", len(got.Checks), bearerChecks, got.Checks)
	}
	t.Logf("in Node: %q", got.Checks)

	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium here, and test/setup.sh could not install it: the checks passed in Node alone")
	}
	query := url.Values{"base": {follower.URL()}, "key": {key}}
	got = pages.show(t, chromium, pages.URL+"/?"+query.Encode())
	if got.Error != "" || len(got.Checks) != bearerChecks || got.Origin != pages.URL {
		t.Fatalf("in a page: got %+v, want %d checks at %s", got, bearerChecks, pages.URL)
	}
	t.Logf("in a page of %s: %q", got.Origin, got.Checks)

	query.Set("stranger", "1")
	elsewhere := strings.Replace(pages.URL, "127.0.0.1", "localhost", 1)
	got = pages.show(t, chromium, elsewhere+"/?"+query.Encode())
	if got.Error != "" || len(got.Checks) != strangerChecks || got.Origin != elsewhere {
		t.Fatalf("in a stranger's page: got %+v, want %d checks at %s", got, strangerChecks, elsewhere)
	}
	if a, err := follower.Client().Get("/v1/stream/stranger?offset=-1", harness.Headers("Authorization", "Bearer "+key)); err != nil || a.Status != 404 {
		t.Fatalf("the stranger's stream: %s, %v", a, err)
	}
	t.Logf("in a page of %s: %q", got.Origin, got.Checks)
}

// pages is a server of pages that run the client, and hears how it went.
type pages struct {
	*httptest.Server
	results chan told
}

func startPages(t *testing.T) *pages {
	t.Helper()
	script := filepath.Join(t.TempDir(), "page.js")
	out := node(t, clientsWithin, nil, "node_modules/rolldown/bin/cli.mjs", "page.mjs", "--file", script, "--format", "esm", "--platform", "browser")
	content, err := os.ReadFile(script)
	if err != nil {
		t.Fatalf("bundle the client: %v, %v\n%s", err, out.err, out.text)
	}
	p := &pages{results: make(chan told, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `<!doctype html><title>Mainstem</title><script type="module" src="/page.js"></script>`)
	})
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(content)
	})
	mux.HandleFunc("POST /result", func(_ http.ResponseWriter, r *http.Request) {
		var result told
		if err := json.NewDecoder(r.Body).Decode(&result); err != nil {
			result.Error = err.Error()
		}
		p.results <- result
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// show opens a page in a browser of its own and returns what the page tells.
func (p *pages) show(t *testing.T, chromium, address string) told {
	t.Helper()
	var text bytes.Buffer
	profile := t.TempDir()
	cmd := exec.Command(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--user-data-dir="+profile, "--remote-debugging-port=0", address)
	cmd.Env = append(os.Environ(), "HOME="+profile)
	cmd.Stdout, cmd.Stderr = &text, &text
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}()
	select {
	case result := <-p.results:
		return result
	case err := <-ended:
		ended <- err
		t.Fatalf("chromium ended: %v\n%s", err, text.Bytes())
	case <-time.After(pageWithin):
		t.Fatalf("the page told nothing within %v", pageWithin)
	}
	return told{}
}
