package test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

// TestSealedKeySignsOnlyWhereItOpens starts one node with, without and again with
// the key that seals the signing key.
func TestSealedKeySignsOnlyWhereItOpens(t *testing.T) {
	harness.Require(t)
	kek := bytes.Repeat([]byte{0x5a, 0xc3}, 16)
	file := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(kek)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := harness.NewNode(t, harness.Dir(t), "n1")
	n.Args = []string{"--webhooks-allow-insecure", "--webhooks-key-encryption-key-file", file}
	n.Start()
	n.WaitReady()
	calls := control{[]*harness.Node{n}}
	receiver := startReceiver(t, calls, func(w http.ResponseWriter, _ hookDelivery) { _, _ = io.WriteString(w, `{"done":true}`) })
	calls.must(t, 201, http.MethodPut, subscription("s"), map[string]any{
		"type": "webhook", "streams": []string{"work/1"}, "webhook": map[string]string{"url": receiver.url}})
	if a, err := n.Client().Create("wake/pool", harness.Headers("Content-Type", "application/json"), ""); err != nil || a.Status != 201 {
		t.Fatalf("create the wake stream: %s (%v)", a, err)
	}
	calls.must(t, 201, http.MethodPut, subscription("p"), map[string]any{
		"type": "pull-wake", "streams": []string{"work/1"}, "wake_stream": "wake/pool", "lease_ttl_ms": 600_000})
	appendOne := func() {
		t.Helper()
		if a, err := n.Client().Append("work/1", harness.Headers("Content-Type", text), "data"); err != nil || a.Status != 204 {
			t.Fatalf("append: %s (%v)", a, err)
		}
	}
	delivered := func(want int) {
		t.Helper()
		harness.Eventually(t, 10*time.Second, "deliveries", func() error {
			if got := len(receiver.got()); got != want {
				return io.ErrNoProgress
			}
			return nil
		})
	}
	restart := func(args ...string) {
		t.Helper()
		n.Stop()
		n.Args = args
		n.Start()
		n.WaitReady()
	}
	if a, err := n.Client().Create("work/1", harness.Headers("Content-Type", text), "data"); err != nil || a.Status != 201 {
		t.Fatalf("create: %s (%v)", a, err)
	}
	delivered(1)

	restart("--webhooks-allow-insecure")
	appendOne()
	time.Sleep(time.Second)
	delivered(1)
	if keys, err := receiver.fetchKeys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("%d keys are served (%v), want 1: the public half needs no key", len(keys), err)
	}
	worker := map[string]string{"worker": "w1"}
	if status, _, err := calls.once(t.Context(), n, http.MethodPost, subscription("p")+"/claim", "", worker); err != nil || status != 503 {
		t.Errorf("a claim on a node that makes no tokens: %d (%v), want 503", status, err)
	}
	if log := n.Log(); !strings.Contains(log, "this node cannot sign") || strings.Count(log, "this node cannot sign") > 1 {
		t.Errorf("the log does not say once that webhooks wait:\n%s", log)
	}

	restart("--webhooks-allow-insecure", "--webhooks-key-encryption-key-file", file)
	delivered(2)
	calls.must(t, 200, http.MethodPost, subscription("p")+"/claim", worker) // the lease was not given away before
	sent := receiver.got()
	if sent[0].kid != sent[1].kid {
		t.Errorf("signed by %s and then by %s, want one key", sent[0].kid, sent[1].kid)
	}
	receiver.check(t)
	for _, secret := range []string{string(kek), base64.StdEncoding.EncodeToString(kek)} {
		found, err := filesHolding(n.Dir, secret)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 || strings.Contains(n.Log(), secret) {
			t.Errorf("the key-encryption key was written to %v, or to the log", found)
		}
	}
}

// filesHolding returns the files below dir that contain text.
func filesHolding(dir, text string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(text)) {
			found = append(found, path)
		}
		return err
	})
	return found, err
}
