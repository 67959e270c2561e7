package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mainstem/doctor"
	"mainstem/operator"
)

// examinedBy is what the doctor printed as JSON.
type examinedBy struct {
	Level    doctor.Level
	Findings []doctor.Finding
}

func (e examinedBy) find(check, node string) (doctor.Finding, bool) {
	i := slices.IndexFunc(e.Findings, func(f doctor.Finding) bool { return f.Check == check && f.Node == node })
	if i < 0 {
		return doctor.Finding{}, false
	}
	return e.Findings[i], true
}

func doctorSays(t *testing.T, environ []string, wantCode int, args ...string) (e examinedBy) {
	t.Helper()
	out, errs, code := runWith(t, environ, append([]string{"doctor", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &e); err != nil || code != wantCode {
		t.Fatalf("got code %d, want %d; %v\n%s%s", code, wantCode, err, out, errs)
	}
	return e
}

func (e examinedBy) want(t *testing.T, check, node string, l doctor.Level, words string) {
	t.Helper()
	if f, found := e.find(check, node); !found || f.Level != l || !strings.Contains(f.What, words) {
		t.Errorf("%s %s: got %+v, want %s with %q; of %+v", check, node, f, l, words, e.Findings)
	}
}

const (
	diagToken  = "operators-token-of-a-test"
	diagSecret = "signing-secret-of-a-test-0123456789"
)

// TestTheDoctorAndABundleOfThreeNodes is for a cluster one of whose nodes has
// another bootstrap-expect: first with all there, then with one away.
func TestTheDoctorAndABundleOfThreeNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("three nodes take seconds")
	}
	ports := freeAddresses(t, 12)
	clients, peers, gossip, admins := ports[:3], ports[3:6], ports[6:9], ports[9:]
	environ := []string{operator.TokenVariable + "=" + diagToken, "DS_AUTH__SIGNED_URL__SECRET=" + diagSecret}
	var nodes []*process
	for i, id := range []string{"a", "b", "c"} {
		expect := "2"
		if id == "c" { // which joins those that found the cluster
			expect = "1"
		}
		nodes = append(nodes, launchWith(t, environ, "serve", "--node-id", id, "--data-dir", t.TempDir(), "--addr", clients[i], "--peer-addr", peers[i],
			"--admin-addr", admins[i], "--gossip-addr", gossip[i], "--join", strings.Join(gossip, ","), "--bootstrap-expect", expect,
			"--shutdown-timeout", "3s", "--drain-spread", "100ms"))
	}
	for _, addr := range clients {
		eventually(t, addr+" ready", func() bool { code, _ := get(t, "http://"+addr+"/readyz"); return code == http.StatusOK })
	}
	token := []string{operator.TokenVariable + "=" + diagToken}
	urls := strings.Join(admins, ",")
	eventually(t, "all are well", func() bool {
		out, _, code := runWith(t, token, "doctor", "--json", "--url", urls, "--fail-on", "bad")
		return code == 0 && strings.Contains(out, "1 more of 3 voters may fail") && strings.Contains(out, "the clocks differ by")
	})
	e := doctorSays(t, token, 1, "--url", urls, "--data-dir", t.TempDir())
	e.want(t, "answers", "", doctor.OK, "every member answers")
	e.want(t, "bootstrap-expect", "", doctor.Warn, "1 on c; 2 on a, b")
	e.want(t, "backup", "", doctor.Warn, "no backup")
	e.want(t, "settings", "", doctor.OK, "tells its settings")
	e.want(t, "peer encryption", "", doctor.OK, "")
	if _, found := e.find("data directory", ""); !found {
		t.Errorf("no word of the directory in %+v", e.Findings)
	}

	refused := doctorSays(t, nil, 1, "--url", admins[0])
	refused.want(t, "answers", "http://"+admins[0], doctor.Warn, "401")
	refused.want(t, "tolerance", "", doctor.Bad, "nobody answered")

	nodes[2].signal()
	nodes[2].exit()
	eventually(t, "c is missed", func() bool {
		out, _, _ := runWith(t, token, "doctor", "--json", "--url", urls)
		return strings.Contains(out, "0 more of 3 voters may fail")
	})
	e = doctorSays(t, token, 1, "--url", urls, "--fail-on", "bad")
	e.want(t, "answers", "c", doctor.Bad, "c does not answer")
	e.want(t, "tolerance", "", doctor.Bad, "0 more of 3")
	one := doctorSays(t, token, 1, "--url", admins[0])
	one.want(t, "answers", "b", doctor.Warn, "server.admin_address")
	one.want(t, "answers", "c", doctor.Bad, "c does not answer")
	bundleOfTheRest(t, token, urls)
}

// manifest is manifest.json as whoever gets a bundle reads it.
type manifest struct {
	Format  int `json:"format"`
	Members []struct {
		NodeID string `json:"node_id"`
		Error  string `json:"error"`
		Files  []struct {
			Name   string `json:"name"`
			Bytes  int    `json:"bytes"`
			SHA256 string `json:"sha256"`
		} `json:"files"`
		Missing []any `json:"missing"`
	} `json:"members"`
}

// bundleOfTheRest wants all of two nodes, the third named, and no secret in a bundle.
func bundleOfTheRest(t *testing.T, token []string, urls string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle.tar.gz")
	args := []string{"debug", "bundle", "--url", urls, "-o", path, "--profile", "1s"}
	out, notes, code := runWith(t, token, args...)
	if code != 0 || strings.TrimSpace(out) != path || !strings.Contains(notes, "a: profiles/cpu.pb.gz") {
		t.Fatalf("got code %d, %q, %s", code, out, notes)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got %v, %v", info, err)
	}
	files := unpack(t, path)
	for name, content := range files {
		for _, secret := range []string{diagToken, diagSecret} {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds %s", name, secret)
			}
		}
	}
	var m manifest
	if err := json.Unmarshal(files["manifest.json"], &m); err != nil || len(m.Members) != 3 || m.Format != 1 {
		t.Fatalf("got %+v, %v", m, err)
	}
	for _, member := range m.Members {
		if member.NodeID == "c" {
			if member.Error == "" || len(member.Files) != 0 {
				t.Errorf("of the node that is away: %+v", member)
			}
			continue
		}
		if member.Error != "" || len(member.Missing) != 0 || len(member.Files) != 11 {
			t.Errorf("got %+v", member)
		}
		for _, f := range member.Files {
			sum := sha256.Sum256(files[f.Name])
			if len(files[f.Name]) != f.Bytes || hex.EncodeToString(sum[:]) != f.SHA256 {
				t.Errorf("%s is not as the manifest has it", f.Name)
			}
		}
	}
	for name, words := range map[string]string{
		"nodes/a/status.json": `"node_id": "a"`, "nodes/b/config.json": `"cluster.admin_token","value":"(hidden)"`,
		"nodes/a/log.ndjson": `"msg":"ready"`, "nodes/b/metrics.txt": "mainstem_fsync_seconds_bucket", "nodes/a/readyz.txt": "leader",
		"nodes/b/profiles/goroutine.txt": "goroutine profile", "doctor.json": "0 more of 3",
	} {
		if !bytes.Contains(files[name], []byte(words)) {
			t.Errorf("%s does not hold %q: %.300s", name, words, files[name])
		}
	}
	if _, errs, code := runWith(t, token, args...); code != 1 || !strings.Contains(errs, "exists") {
		t.Errorf("over a file that is there: got code %d, %s", code, errs)
	}
}

func unpack(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
