package main

import (
	"slices"
	"strings"
	"testing"
)

// offered is what a shell would offer for the last word of a line.
func offered(t *testing.T, environ []string, line ...string) []string {
	t.Helper()
	out, errOut, code := runWith(t, environ, append([]string{"__complete"}, line...)...)
	if code != 0 {
		t.Fatalf("%q: exit %d, %s", line, code, errOut)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[:len(lines)-1] // the last says what the shell is to do itself
}

func TestShellsAreOfferedWhatThereIs(t *testing.T) {
	for line, want := range map[string][]string{
		"serve --storage-mode ":  {"file-durable", "acid", "file-fast", "memory"},
		"serve --storage-mode m": {"file-durable", "acid", "file-fast", "memory"}, // shells choose
		"serve --profile ":       {"default", "dev", "prod", "prod-mtls", "prod-tls"},
		"dev --log-format ":      {"text", "json"},
		"serve --http-versions ": {"http1", "http2", "h2c"},
		"serve --addr ":          {},
		"config show --config ":  {"toml"},
	} {
		if got := offered(t, nil, strings.Split(line, " ")...); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
	if got := offered(t, nil, "serve", "--storage-m"); len(got) != 1 || !strings.HasPrefix(got[0], "--storage-mode\t") {
		t.Errorf("a flag: got %q", got)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out, errOut, code := runWith(t, nil, "completion", shell); code != 0 || !strings.Contains(out, "mainstem") {
			t.Errorf("%s: exit %d, %s", shell, code, errOut)
		}
	}
}

func TestShellsAreOfferedTheNamesOfStreams(t *testing.T) {
	_, base := dev(t)
	for _, name := range []string{"chat/1", "chat/2", "log"} {
		mustDo(t, "PUT", base+"/"+name, "text/plain", "", 201)
	}
	environ := []string{"STREAM_URL=" + base}
	for _, c := range []struct {
		line []string
		want []string
	}{
		{[]string{"stream", "read", "chat/"}, []string{"chat/1", "chat/2"}},
		{[]string{"stream", "read", ""}, []string{"chat/1", "chat/2", "log"}},
		{[]string{"stream", "read", "log", ""}, []string{}},
		{[]string{"stream", "rm", "log", "chat/"}, []string{"chat/1", "chat/2"}},
		{[]string{"stream", "create", ""}, []string{}},
	} {
		if got := offered(t, environ, c.line...); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.line, got, c.want)
		}
	}
	if got := offered(t, []string{"STREAM_URL=http://127.0.0.1:1/x"}, "stream", "read", ""); len(got) != 0 {
		t.Errorf("without a server: got %q", got)
	}
}
