package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mainstem/cli"
	"mainstem/cluster"
	"mainstem/operator"
)

func inBase64(b byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32))
}

// TestKeptKeysAreForTheirOwnerAlone, and damaged ones stop the start with what to
// do.
func TestKeptKeysAreForTheirOwnerAlone(t *testing.T) {
	kept := keptKeys(filepath.Join(t.TempDir(), keptKeysName))
	if _, known, err := kept.load(); known || err != nil {
		t.Fatalf("known %v, %v before anything was kept", known, err)
	}
	want := cluster.KeyringState{Term: 3, Serial: 7, Keys: [][]byte{bytes.Repeat([]byte("k"), 32)}}
	for range 2 { // anew, and over the old
		if err := os.WriteFile(string(kept)+".tmp", []byte("left by a crash, for all to read"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := kept.save(want); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(string(kept))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v; want 0600", info.Mode(), err)
	}
	got, known, err := kept.load()
	if err != nil || !known || got.Term != 3 || got.Serial != 7 || !bytes.Equal(got.Keys[0], want.Keys[0]) {
		t.Fatalf("got %+v, %v, %v", got, known, err)
	}
	for name, content := range map[string]string{"half": `{"format":1,"keys":[`, "no keys": `{"format":1}`, "later": `{"format":2,"term":1,"serial":1,"keys":["` + inBase64('a') + `"]}`} {
		if err := os.WriteFile(string(kept), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := kept.load(); err == nil || !strings.Contains(err.Error(), "remove this one") {
			t.Errorf("%s: got %v, want what to do", name, err)
		}
	}
}

// keysFake notes what it is asked to change.
type keysFake struct{ asked []cluster.KeyChange }

func (f *keysFake) Keyrings(context.Context) ([]cluster.NodeKeys, error) {
	return []cluster.NodeKeys{{NodeID: "a", Keys: []string{"01", "02"}}, {NodeID: "b", Error: "out of reach"}}, nil
}

func (f *keysFake) ChangeKeys(_ context.Context, c cluster.KeyChange) error {
	f.asked = append(f.asked, c)
	return nil
}

func TestKeysAreChangedByOperatorsAlone(t *testing.T) {
	f := &keysFake{}
	mux := http.NewServeMux()
	serveKeyring(mux, f, byPlace(""))
	for name, c := range map[string]struct {
		remote, body string
		want         int
	}{
		"another machine": {"10.0.0.7:5", `{"do":"use","fingerprint":"01"}`, http.StatusForbidden},
		"no JSON":         {"127.0.0.1:5", inBase64('a'), http.StatusBadRequest},
		"a program here":  {"127.0.0.1:5", `{"do":"use","fingerprint":"01"}`, http.StatusOK},
	} {
		r := httptest.NewRequest("POST", operator.KeyringPath, strings.NewReader(c.body))
		r.RemoteAddr = c.remote
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != c.want || strings.Contains(w.Body.String(), inBase64('a')) {
			t.Errorf("%s: got %d %s, want %d", name, w.Code, w.Body, c.want)
		}
	}
	if len(f.asked) != 1 {
		t.Errorf("%d changes, want 1", len(f.asked))
	}
}

func TestTheKeyringCommands(t *testing.T) {
	f := &keysFake{}
	mux := http.NewServeMux()
	serveKeyring(mux, f, byPlace(""))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	keyring := func(stdin string, args ...string) (int, string) {
		var out bytes.Buffer
		code := run(t.Context(), cli.Invocation{Args: append([]string{"cluster", "keyring", "--url", srv.URL}, args...), Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &out})
		return code, out.String()
	}
	code, key := keyring("", "generate")
	if _, err := cluster.ParseGossipKeys([]byte(key)); code != 0 || err != nil {
		t.Fatalf("generate: %d, %q, %v", code, key, err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		stdin string
		args  []string
		want  string
		code  int
	}{
		{"", []string{"list"}, "a     01              02", 0},
		{"", []string{"list"}, "b     (out of reach)", 0},
		{"", []string{"add", file}, "added ", 0},
		{key, []string{"add", "-"}, "added ", 0},
		{key + inBase64('a'), []string{"add", "-"}, "holds 2 keys", 1},
		{"", []string{"add", key}, "read the key", 1},
		{"", []string{"use", "01"}, "in use: 01", 0},
		{"", []string{"remove", "02"}, "removed 02", 0},
	} {
		if code, out := keyring(c.stdin, c.args...); code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%q: got %d, %q; want %d, %q", c.args, code, out, c.code, c.want)
		}
	}
	if len(f.asked) != 4 || f.asked[0].Do != cluster.KeyAdd || !bytes.Equal(f.asked[0].Key, f.asked[1].Key) || f.asked[2].Do != cluster.KeyUse || f.asked[3].Fingerprint != "02" {
		t.Errorf("asked %+v", f.asked)
	}
}
