package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"mainstem/cli"
	"mainstem/operator"
)

// readyWithin bounds every wait of these tests, on a slow machine too.
const readyWithin = 30 * time.Second

// process is a run of main inside the test.
type process struct {
	t              *testing.T
	signal         context.CancelFunc // as SIGTERM does
	done           chan struct{}      // closed once code is set
	code           int
	stdout, stderr buffer
}

// buffer is a bytes.Buffer for two goroutines.
type buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// launch runs main with args until it ends or the test does.
func launch(t *testing.T, args ...string) *process { return launchWith(t, nil, args...) }

// launchWith is launch with an environment.
func launchWith(t *testing.T, environ []string, args ...string) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{t: t, signal: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.code = run(ctx, cli.Invocation{Args: args, Environ: environ, Stdout: &p.stdout, Stderr: &p.stderr})
	}()
	t.Cleanup(func() {
		cancel()
		<-p.done
		if t.Failed() {
			t.Logf("%q wrote:\n%s%s", args, p.stdout.String(), p.stderr.String())
		}
	})
	return p
}

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(readyWithin):
		p.t.Fatal("main did not end")
	}
	return p.code
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(readyWithin); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if yes() {
			return
		}
	}
	t.Fatalf("%s: not within %s", what, readyWithin)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// dev launches mainstem dev and returns its base URL.
func dev(t *testing.T, args ...string) (*process, string) {
	t.Helper()
	return devWith(t, nil, args...)
}

// devWith is dev with an environment.
func devWith(t *testing.T, environ []string, args ...string) (*process, string) {
	t.Helper()
	p := launchWith(t, environ, append([]string{"dev", "--addr", "127.0.0.1:0", "--long-poll-timeout", "20s"}, args...)...)
	form := regexp.MustCompile(`(?m)^  (https?://127\.0\.0\.1:\d+/v1/stream)$`)
	var base string
	eventually(t, "the greeting of mainstem dev", func() bool {
		if m := form.FindStringSubmatch(p.stdout.String()); m != nil {
			base = m[1]
		}
		return base != ""
	})
	return p, base
}

func TestTheCurlLinesOfDevWork(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here")
	}
	p, _ := dev(t)
	lines := regexp.MustCompile(`(?m)^  curl .*$`).FindAllString(p.stdout.String(), -1)
	wants := []string{"HTTP/1.1 201 Created", "HTTP/1.1 204 No Content", `[{"text":"hello"}]`}
	if len(lines) != len(wants) {
		t.Fatalf("got %d curl lines, want %d", len(lines), len(wants))
	}
	for i, line := range lines {
		out, err := exec.Command("sh", "-c", line+" -sS --max-time 10").CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		if !strings.Contains(string(out), wants[i]) {
			t.Fatalf("%s: got %q, want it to hold %q", line, out, wants[i])
		}
	}
}

func TestDevWithoutADirectoryLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	p, _ := dev(t)
	if made, _ := filepath.Glob(filepath.Join(temp, "mainstem-dev-*", "node.json")); len(made) != 1 {
		t.Fatalf("while it runs: found %q, want one directory with data", made)
	}
	p.signal()
	if code := p.exit(); code != 0 {
		t.Fatalf("got exit code %d, want 0", code)
	}
	if left, _ := filepath.Glob(filepath.Join(temp, "*")); len(left) != 0 {
		t.Fatalf("left behind: %q", left)
	}
}

func TestDevKeepsWhatItIsGivenADirectoryFor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when", "absent")
	p, base := dev(t, "--data-dir", dir)
	mustDo(t, http.MethodPut, base+"/kept", "text/plain", "one", http.StatusCreated)
	p.signal()
	if code := p.exit(); code != 0 {
		t.Fatalf("got exit code %d, want 0", code)
	}
	_, base = dev(t, "--data-dir", dir)
	if code, body := get(t, base+"/kept"); code != http.StatusOK || body != "one" {
		t.Fatalf("after a restart: got %d %q, want 200 and what was written", code, body)
	}
}

func mustDo(t *testing.T, method, url, contentType, body string, want int) http.Header {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != want {
		t.Fatalf("%s %s: got %d %q, want %d", method, url, res.StatusCode, text, want)
	}
	return res.Header
}

func TestAStopEndsLongPollsWith204(t *testing.T) {
	p, base := dev(t)
	mustDo(t, http.MethodPut, base+"/waiting", "text/plain", "", http.StatusCreated)
	type answer struct {
		code int
		body string
	}
	answered := make(chan answer, 1)
	go func() {
		code, body := get(t, base+"/waiting?offset=now&live=long-poll")
		answered <- answer{code, body}
	}()
	origin := strings.TrimSuffix(base, "/v1/stream")
	eventually(t, "a live reader in the metrics", func() bool {
		_, body := get(t, origin+"/metrics")
		return regexp.MustCompile(`(?m)^mainstem_live_readers\{mode="long-poll"\} 1$`).MatchString(body)
	})
	p.signal()
	select {
	case got := <-answered:
		if got.code != http.StatusNoContent {
			t.Fatalf("got %d %q, want 204", got.code, got.body)
		}
	case <-time.After(readyWithin):
		t.Fatal("the long-poll was not answered")
	}
	if code := p.exit(); code != 0 {
		t.Fatalf("got exit code %d, want 0", code)
	}
}

func TestEachPhaseOfAFailedStartIsNamedAndLeavesNothing(t *testing.T) {
	inUse, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inUse.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	free := []string{"--addr=127.0.0.1:0", "--peer-addr=127.0.0.1:0", "--gossip-addr=127.0.0.1:0"}
	for name, c := range map[string]struct {
		args []string // beside free and a data directory that must not come to be
		want string
	}{
		"unknown flag":      {[]string{"--wat"}, "[load_config] unknown flag: --wat; mainstem serve --help lists those there are"},
		"flag without text": {[]string{"--join"}, "[load_config] flag needs an argument: --join"},
		"malformed flag":    {[]string{"--shutdown-timeout=soon"}, "[load_config] server.shutdown_timeout (--shutdown-timeout)"},
		"stray word":        {[]string{"now"}, "[load_config] mainstem serve takes no arguments"},
		"broken rule":       {[]string{"--node-id=a b"}, "[validate_config] cluster.node_id (--node-id)"},
		"client port":       {[]string{"--addr=" + inUse.Addr().String()}, "[bind_listener] --addr"},
		"peer port":         {[]string{"--peer-addr=" + inUse.Addr().String()}, "[bind_listener] --peer-addr"},
		"gossip port":       {[]string{"--gossip-addr=" + inUse.Addr().String()}, "[bind_listener] --gossip-addr"},
		"data directory":    {[]string{"--data-dir=" + file}, "[open_storage] --data-dir"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			args := append(append([]string{"serve", "--data-dir=" + dir, "--node-id=n"}, free...), c.args...)
			p := launch(t, args...)
			if code := p.exit(); code != 1 {
				t.Fatalf("got exit code %d, want 1", code)
			}
			if got := p.stderr.String(); !strings.Contains(got, c.want) {
				t.Fatalf("got %q, want it to hold %q", got, c.want)
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Fatalf("the data directory was made: %v", err)
			}
		})
	}
}

func TestADirectoryBelongsToOneNodeAndOneProcess(t *testing.T) {
	dir := t.TempDir()
	serve := func(id string) *process {
		return launch(t, "serve", "--data-dir", dir, "--node-id", id, "--addr=127.0.0.1:0", "--peer-addr=127.0.0.1:0", "--gossip-addr=127.0.0.1:0")
	}
	first := serve("a")
	eventually(t, "ready", func() bool { return strings.Contains(first.stderr.String(), "msg=ready") })
	second := serve("a")
	if code := second.exit(); code != 1 || !strings.Contains(second.stderr.String(), "[open_storage] --data-dir") || !strings.Contains(second.stderr.String(), "in use by another") {
		t.Fatalf("a second process: got exit code %d and %q", code, second.stderr.String())
	}
	first.signal()
	if code := first.exit(); code != 0 {
		t.Fatalf("got exit code %d, want 0", code)
	}
	other := serve("b")
	if code := other.exit(); code != 1 || !strings.Contains(other.stderr.String(), `[open_storage] this data directory belongs to node "a"`) {
		t.Fatalf("another node id: got exit code %d and %q", code, other.stderr.String())
	}
}

func TestVersionAndHelp(t *testing.T) {
	for want, args := range map[string][]string{
		"mainstem ":          {"version"},
		"--bootstrap-expect": {"serve", "--help"},
		"DS_STORAGE__":       {"dev", "--help"},
		"Available Commands": {},
	} {
		p := launch(t, args...)
		if code := p.exit(); code != 0 || !strings.Contains(p.stdout.String(), want) {
			t.Errorf("%q: got exit code %d and %q, want %q in it", args, code, p.stdout.String(), want)
		}
	}
	p := launch(t, "sevre")
	if code := p.exit(); code != 1 || !strings.Contains(p.stderr.String(), "serve") {
		t.Errorf("sevre: got exit code %d and %q, want a suggestion", code, p.stderr.String())
	}
}

func TestANodeShowsItsHealthAndItsNumbers(t *testing.T) {
	_, base := dev(t)
	mustDo(t, http.MethodPut, base+"/counted", "text/plain", "one", http.StatusCreated)
	origin := strings.TrimSuffix(base, "/v1/stream")
	for _, path := range []string{operator.LivePath, operator.ReadyPath, operator.HealthPath, operator.StatusPath, operator.ChecksumPath} {
		if code, body := get(t, origin+path); code != http.StatusOK {
			t.Errorf("%s: got %d %q, want 200", path, code, body)
		}
	}
	_, body := get(t, origin+"/metrics")
	for _, name := range []string{
		`mainstem_build_info{goversion="go`, "mainstem_raft_is_leader 1", "mainstem_raft_failure_tolerance 0", "mainstem_raft_term ",
		`mainstem_append_stage_seconds_count{stage="raft"}`, `mainstem_http_requests_total{code="201",operation="create"} 1`,
		"mainstem_live_readers", "mainstem_fsync_seconds_count", `mainstem_corruption_total{store="log"} 0`, "go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(body, "\n"+name) {
			t.Errorf("/metrics has no %s", name)
		}
	}
}

// runWith is one command line in this process.
func runWith(t *testing.T, environ []string, args ...string) (out, errOut string, code int) {
	t.Helper()
	var o, e strings.Builder
	code = run(t.Context(), cli.Invocation{Args: args, Environ: environ, Stdout: &o, Stderr: &e})
	return o.String(), e.String(), code
}
