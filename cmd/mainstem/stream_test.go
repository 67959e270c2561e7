package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"mainstem/cli"
)

// ofStreams runs mainstem stream against a server.
func ofStreams(t *testing.T, base, stdin string, args ...string) (out, notes string, code int) {
	t.Helper()
	var o, e strings.Builder
	code = run(t.Context(), cli.Invocation{Args: append([]string{"stream"}, args...), Environ: []string{"STREAM_URL=" + base}, Stdin: strings.NewReader(stdin), Stdout: &o, Stderr: &e})
	return o.String(), e.String(), code
}

func must(t *testing.T, base, stdin, want string, args ...string) string {
	t.Helper()
	out, notes, code := ofStreams(t, base, stdin, args...)
	if code != 0 {
		t.Fatalf("%q: exit %d, %s", args, code, notes)
	}
	if !strings.Contains(out+notes, want) {
		t.Fatalf("%q: got %q and %q, want %q", args, out, notes, want)
	}
	return out
}

func TestAStreamsLifeFromTheCommandLine(t *testing.T) {
	_, base := dev(t)
	must(t, base, "", "created chat/1", "create", "chat/1", "--json", "--ttl=1h")
	must(t, base, "", "was there already", "create", "chat/1", "--json", "--ttl=1h")
	must(t, base, "", "appended to chat/1", "append", "chat/1", "--json", `{"n":1}`)
	must(t, base, "", "appended", "append", "chat/1", `[{"n":2}, {"n":3}]`) // the type is the stream's
	must(t, base, "{\"n\":4}\n\n {\"n\": 5} \n{\"n\":12345678901234567890}", "appended", "append", "chat/1", "--lines")
	want := `[{"n":1},{"n":2},{"n":3},{"n":4},{"n": 5},{"n":12345678901234567890}]` + "\n"
	if got := must(t, base, "", "", "read", "chat/1", "--quiet"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := must(t, base, "", "", "read", "chat/1", "--lines", "-q"); got != "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n{\"n\":5}\n{\"n\":12345678901234567890}\n" {
		t.Errorf("lines: got %s", got)
	}
	must(t, base, "", "lifetime in seconds", "head", "chat/1")
	must(t, base, "", "created chat/2", "fork", "chat/1", "chat/2")
	must(t, base, "", `"closed":true`, "close", "chat/1", "--output-json")
	must(t, base, "", `"closed":true`, "head", "chat/1", "--output-json")
	if got := must(t, base, "", "", "read", "chat/2", "-q"); got != want {
		t.Errorf("the fork: got %s", got)
	}
	must(t, base, "", "deleted chat/2", "rm", "chat/1", "chat/2")
}

func TestExitCodesTellScriptsWhatHappened(t *testing.T) {
	_, base := dev(t)
	must(t, base, "", "", "create", "a", "--content-type=text/plain", "--closed")
	must(t, base, "", "", "create", "open", "--content-type=text/plain")
	must(t, base, "a\nb\nc\n", "appended", "append", "open", "--lines", "--chunk=2", "--if-match=-1") // each piece follows the one before
	file := filepath.Join(t.TempDir(), "keys.toml")
	reader := addKey(t, file, "--name=r", "--scopes=read")
	_, guarded := dev(t, "--auth-keys="+file)
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }))
	defer broken.Close()
	for name, c := range map[string]struct {
		base string
		args []string
		want int
		says string
	}{
		"no such stream":      {base, []string{"read", "none"}, 3, "404 STREAM_NOT_FOUND"},
		"closed":              {base, []string{"append", "a", "x", "--content-type=text/plain"}, 4, "409 STREAM_CLOSED"},
		"another tail":        {base, []string{"append", "open", "x", "--if-match=0000000000000001_0000000000000009"}, 4, "412 TAIL_MOVED"},
		"another type":        {base, []string{"create", "a", "--json"}, 4, "409"},
		"nobody":              {guarded, []string{"read", "a"}, 5, "401 NO_CREDENTIALS"},
		"not enough":          {guarded, []string{"create", "a", "--auth=Bearer " + reader}, 5, "403 NOT_ALLOWED"},
		"outcome unknown":     {broken.URL, []string{"append", "a", "x", "--content-type=text/plain"}, 6, "outcome unknown"},
		"no URL":              {"nowhere", []string{"read", "a"}, 1, "[load_config] --url"},
		"bad name":            {base, []string{"read", "a/../b"}, 1, "dot segment"},
		"words and file":      {base, []string{"append", "a", "x", "--file=y"}, 1, "give one"},
		"resume, no producer": {base, []string{"append", "a", "--file=y", "--resume=z"}, 1, "--resume needs"},
		"bad chunk":           {base, []string{"append", "a", "x", "--chunk=0"}, 1, "--chunk"},
		"bad time":            {base, []string{"create", "b", "--expires-at=soon"}, 1, "--expires-at"},
	} {
		out, notes, code := ofStreams(t, c.base, "", c.args...)
		if code != c.want || !strings.Contains(notes, c.says) {
			t.Errorf("%s: got %d, %q, %q; want %d and %q", name, code, out, notes, c.want, c.says)
		}
	}
}

// flaky passes requests on and loses answers: every second append is carried
// out, and its connection broken before it is answered.
func flaky(t *testing.T, base string) (string, *atomic.Int64) {
	t.Helper()
	target, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	var posts, lost atomic.Int64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: target.Scheme, Host: target.Host}) },
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == http.MethodPost && posts.Add(1)%2 == 1 {
				lost.Add(1)
				panic(http.ErrAbortHandler)
			}
			return nil
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL + target.Path, &lost
}

func TestALongTransferWithAProducerIsWrittenOnce(t *testing.T) {
	_, base := dev(t)
	through, lost := flaky(t, base)
	var content bytes.Buffer
	for i := range 20_000 {
		fmt.Fprintf(&content, "line %d of a file\n", i)
	}
	file := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(file, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, flags := range map[string][]string{"bytes": nil, "lines": {"--lines"}} {
		must(t, base, "", "", "create", name, "--content-type=text/plain")
		must(t, through, "", "appended", append([]string{"append", name, "--file=" + file, "--chunk=16KiB", "--producer=p"}, flags...)...)
		if got := must(t, base, "", "", "read", name, "-q"); got != content.String() {
			t.Errorf("%s: got %d bytes, want %d, or others", name, len(got), content.Len())
		}
	}
	if lost.Load() < 20 {
		t.Errorf("only %d answers were lost", lost.Load())
	}
}

// TestATransferGoesOnWhereItBrokeOff ends the command after some appends, again
// and again.
func TestATransferGoesOnWhereItBrokeOff(t *testing.T) {
	_, base := dev(t)
	target, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB
	dir := t.TempDir()
	file, state, out, kept := filepath.Join(dir, "in"), filepath.Join(dir, "state"), filepath.Join(dir, "out"), filepath.Join(dir, "offset")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, base, "", "", "create", "big")
	stopAfter := func(n int64, args ...string) int {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var seen atomic.Int64
		proxy := &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: target.Scheme, Host: target.Host}) },
			ModifyResponse: func(r *http.Response) error {
				if seen.Add(1) >= n {
					cancel() // the answer may come too late to be seen
				}
				return nil
			},
		}
		s := httptest.NewServer(proxy)
		defer s.Close()
		return run(ctx, cli.Invocation{Args: append([]string{"stream"}, args...), Environ: []string{"STREAM_URL=" + s.URL + target.Path}, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard})
	}
	runs := 0
	for code := 1; code != 0; runs++ {
		if runs > 100 {
			t.Fatal("it never ends")
		}
		code = stopAfter(7, "append", "big", "--content-type=application/octet-stream", "--file="+file, "--chunk=16KiB", "--producer=p", "--resume="+state)
	}
	if runs < 5 {
		t.Errorf("it took only %d runs", runs)
	}
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Error("the state is still there")
	}
	must(t, base, "", "", "read", "big", "-q", "--out="+out, "--resume="+kept)
	must(t, base, "", "", "append", "big", "--content-type=application/octet-stream", "the end")
	must(t, base, "", "", "read", "big", "-q", "--out="+out, "--resume="+kept)
	got, err := os.ReadFile(out)
	if err != nil || !bytes.Equal(got, append(content, "the end"...)) {
		t.Fatalf("got %d bytes and %v, want %d", len(got), err, len(content)+7)
	}
}

func TestTailWritesWhatComesUntilTheStreamIsClosed(t *testing.T) {
	_, base := dev(t)
	must(t, base, "", "", "create", "log", "--json")
	must(t, base, "", "", "append", "log", `"before"`)
	var out buffer
	done := make(chan int, 1)
	go func() {
		done <- run(t.Context(), cli.Invocation{Args: []string{"stream", "tail", "log", "-q", "--url=" + base}, Stdout: &out, Stderr: io.Discard})
	}()
	eventually(t, "the tail sees what is appended", func() bool {
		must(t, base, "", "", "append", "log", `"live"`)
		return strings.Contains(out.String(), "\"live\"\n")
	})
	must(t, base, "", "", "close", "log")
	if code := <-done; code != 0 {
		t.Errorf("exit %d", code)
	}
	if strings.Contains(out.String(), "before") {
		t.Error("it began before now")
	}
}

// slow gives its lines one by one, and what is there must not wait for the next.
func TestLinesFromAPipeAreNotKeptWaiting(t *testing.T) {
	_, base := dev(t)
	must(t, base, "", "", "create", "log", "--content-type=text/plain")
	r, w := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(t.Context(), cli.Invocation{Args: []string{"stream", "append", "log", "--lines", "-q", "--url=" + base}, Stdin: r, Stdout: io.Discard, Stderr: io.Discard})
	}()
	for i := range 3 {
		line := fmt.Sprintf("line %d\n", i)
		if _, err := io.WriteString(w, line); err != nil {
			t.Fatal(err)
		}
		eventually(t, line, func() bool { return strings.HasSuffix(must(t, base, "", "", "read", "log", "-q"), line) })
	}
	w.Close()
	if code := <-done; code != 0 {
		t.Errorf("exit %d", code)
	}
}
