package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"mainstem/operator"
	"mainstem/settings"
)

func TestTheRecentLogIsBounded(t *testing.T) {
	var r recentLog
	line := bytes.Repeat([]byte("x"), 1000)
	for range 3 * operator.LogLinesMax {
		if n, err := r.Write(line); n != len(line) || err != nil {
			t.Fatalf("got %d, %v", n, err)
		}
	}
	lines, before := r.last(operator.LogLinesMax)
	if total := len(lines) * 1000; total > recentBytesMax || total < recentBytesMax-1000 || before != uint64(3*operator.LogLinesMax-len(lines)) {
		t.Fatalf("%d lines are kept, %d were before", len(lines), before)
	}
	if _, err := r.Write(bytes.Repeat([]byte("y"), recentBytesMax)); err != nil {
		t.Fatal(err)
	}
	if lines, _ := r.last(1); len(lines) != 1 || len(lines[0]) != recentLineBytesMax || lines[0][0] != 'y' {
		t.Fatalf("the last lines: %d", len(lines))
	}
	var many recentLog
	for range operator.LogLinesMax + 5 {
		_, _ = many.Write([]byte("z\n"))
	}
	if lines, before := many.last(operator.LogLinesMax * 2); len(lines) != operator.LogLinesMax || before != 5 || string(lines[0]) != "z" {
		t.Fatalf("%d lines are kept, %d were before", len(lines), before)
	}
}

func TestTheRecentLogHoldsInfoWhateverIsWritten(t *testing.T) {
	var out bytes.Buffer
	var recent recentLog
	log := newLogger(settings.Log{Level: "error", Format: "text"}, &out, &recent)
	log.Debug("one")
	log.Info("two")
	log.Error("three")
	lines, _ := recent.last(10)
	if len(lines) != 2 || !bytes.Contains(lines[0], []byte(`"msg":"two"`)) || strings.Contains(out.String(), "two") || !strings.Contains(out.String(), "three") {
		t.Fatalf("kept %q, written %q", lines, &out)
	}
}

// secretive are settings with something to hide in several places.
func secretive(t *testing.T) settings.Loaded {
	t.Helper()
	cmd := &cobra.Command{}
	settings.AddFlags(cmd, settings.Serve)
	if err := cmd.ParseFlags([]string{"--data-dir=d", "--node-id=a"}); err != nil {
		t.Fatal(err)
	}
	l, err := settings.Load(settings.Serve, cmd.Flags(), []string{
		`DS_CLUSTER__ADMIN_TOKEN=tok"en-secret`, "DS_AUTH__SIGNED_URL__SECRET=signing-secret-signing-secret-0123",
		"DS_OBSERVABILITY__OTLP_ENDPOINT=http://127.0.0.1:4318",
		"DS_OBSERVABILITY__OTLP_HEADERS=x-key=header-secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSecretsAreInNeitherSettingsNorLog(t *testing.T) {
	told := secretive(t).Tell()
	var recent recentLog
	log := slog.New(slog.NewJSONHandler(&recent, nil))
	log.Info(`refused tok"en-secret`, "header", "header-secret", "signing", "signing-secret-signing-secret-0123")
	d := diagnosis{config: operator.Config{NodeID: "a", Settings: told.Settings}, recent: &recent, secrets: told.Hiding()}
	mux := http.NewServeMux()
	d.handle(mux, func(*http.Request) string { return "" })
	for path, want := range map[string]string{operator.ConfigPath: `"cluster.admin_token","value":"(hidden)"`, operator.LogPath: `"header":"(hidden)"`} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		body := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %s, want %s", path, w.Code, body, want)
		}
		if strings.Contains(body, "-secret") {
			t.Errorf("%s: a secret is in %s", path, body)
		}
	}
}

func TestURLsAreToldWithoutCredentials(t *testing.T) {
	for text, want := range map[string]string{
		"https://user:word@host:1/path?key=1": "https://(hidden)@host:1/path?(hidden)",
		"https://host/path?key=1":             "https://host/path?(hidden)",
		"https://host/path":                   "https://host/path",
		"/var/lib/mainstem?x":                 "/var/lib/mainstem?x",
		"10.0.0.1:4437":                       "10.0.0.1:4437",
	} {
		if got := settings.WithoutCredentials(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestDiagnosisIsForOperators(t *testing.T) {
	d := diagnosis{recent: &recentLog{}, secrets: settings.Told{}.Hiding()}
	mux := http.NewServeMux()
	d.handle(mux, func(*http.Request) string { return "you may not" })
	for _, path := range []string{operator.ConfigPath, operator.LogPath} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "you may not") {
			t.Errorf("%s: got %d %s", path, w.Code, w.Body)
		}
	}
}

func TestTheLastLinesAreAskedForByNumber(t *testing.T) {
	d := diagnosis{recent: &recentLog{}, secrets: settings.Told{}.Hiding()}
	for _, line := range []string{`{"n":1}`, `{"n":2}`, `{"n":3}`} {
		_, _ = d.recent.Write([]byte(line + "\n"))
	}
	for query, want := range map[string]struct {
		code   int
		body   string
		before string
	}{
		"":           {200, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n", "0"},
		"?lines=2":   {200, "{\"n\":2}\n{\"n\":3}\n", "1"},
		"?lines=0":   {400, "", ""},
		"?lines=all": {400, "", ""},
	} {
		w := httptest.NewRecorder()
		d.serveLog(w, httptest.NewRequest("GET", operator.LogPath+query, nil))
		if w.Code != want.code || w.Header().Get(operator.LinesBeforeHeader) != want.before || want.body != "" && w.Body.String() != want.body {
			t.Errorf("%q: got %d %q %v", query, w.Code, w.Body, w.Header())
		}
		if want.code != 200 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q: got %q", query, w.Body)
		}
	}
}
