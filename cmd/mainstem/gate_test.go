package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// addKey makes a key by the command, and adds its entry to a file.
func addKey(t *testing.T, file string, args ...string) string {
	t.Helper()
	entry, key, code := runWith(t, nil, append([]string{"auth", "new-key"}, args...)...)
	if code != 0 {
		t.Fatal(key)
	}
	if strings.Contains(entry, strings.TrimSpace(key)) {
		t.Fatal("the file would hold the key itself")
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(entry); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(key)
}

// asks answers with the status of a request.
func asks(t *testing.T, method, url, bearer string) int {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func TestKeysOpenWhatTheySayAndAreReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.toml")
	reader := addKey(t, file, "--name=reader", "--scopes=read", "--streams=a/**")
	admin := addKey(t, file, "--name=root", "--scopes=admin")
	p, base := dev(t, "--auth-keys="+file, "--log-level=info")
	root := strings.TrimSuffix(base, "/v1/stream")
	for name, c := range map[string]struct {
		method, url, bearer string
		want                int
	}{
		"unknown":                 {"GET", base + "/a/b", "", 401},
		"unknown, status":         {"GET", root + "/v1/cluster/status", "", 401},
		"unknown, members":        {"GET", root + "/v1/cluster/members", "", 401},
		"unknown, a change":       {"POST", root + "/v1/cluster/transfer-leader", "", 401},
		"unknown, checksum":       {"GET", root + "/v1/cluster/checksum", "", 401},
		"health":                  {"GET", root + "/livez", "", 200},
		"reader":                  {"GET", base + "/a/b", reader, 404},
		"reader, elsewhere":       {"GET", base + "/b", reader, 403},
		"reader, create":          {"PUT", base + "/a/b", reader, 403},
		"reader, a change":        {"POST", root + "/v1/cluster/transfer-leader", reader, 403},
		"admin, create":           {"PUT", base + "/b", admin, 201},
		"admin, members":          {"GET", root + "/v1/cluster/members", admin, 200},
		"a path beside the table": {"GET", root + "/v1/cluster/../cluster/members", "", 401},
	} {
		if got := asks(t, c.method, c.url, c.bearer); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
	later := addKey(t, file, "--name=later", "--scopes=read")
	eventually(t, "the new key is good", func() bool { return asks(t, "GET", base+"/a/b", later) == 404 })
	if err := os.WriteFile(file, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mistake is told", func() bool { return strings.Contains(p.stderr.String(), "not sound") })
	if got := asks(t, "GET", base+"/a/b", reader); got != 404 {
		t.Errorf("with a broken file the keys are gone: %d", got)
	}
	for _, secret := range []string{reader, admin, later} {
		if strings.Contains(p.stderr.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

func TestAGateThatCannotBeOpenedStopsTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no file":      {[]string{"--auth-keys=none.toml"}, "[load_config] auth.api_keys_path: "},
		"no JWKS":      {[]string{"--auth-jwks=none.json"}, "[load_config] auth.jwt: "},
		"no secrets":   {[]string{"--auth-signed-url-secrets=none"}, "[load_config] auth.signed_url: "},
		"two at once":  {[]string{"--auth-keys=none.toml", "--auth-jwt-key=none.pem"}, "auth.jwt: "},
		"an empty key": {[]string{"--auth-signed-url-secrets=/dev/null"}, "signed URLs need a secret"},
	} {
		p := launch(t, append([]string{"dev", "--addr=127.0.0.1:0"}, c.args...)...)
		if code := p.exit(); code != 1 || !strings.Contains(p.stderr.String(), c.want) {
			t.Errorf("%s: exit %d, %q, want %q", name, code, p.stderr.String(), c.want)
		}
	}
	if out, errOut, code := runWith(t, nil, "auth", "new-key", "--name=x"); code != 1 || out != "" || !strings.Contains(errOut, "no scope is named") {
		t.Errorf("a key without scopes: exit %d, %q, %q", code, out, errOut)
	}
}
