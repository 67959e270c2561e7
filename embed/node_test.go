package embed_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"mainstem/embed"
	"mainstem/httpapi"
)

func open(t *testing.T, cfg embed.Config) *embed.Node {
	t.Helper()
	n, err := embed.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func ask(t *testing.T, n *embed.Node, method, target, body string, want int) string {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "text/plain")
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	if w.Code != want {
		t.Fatalf("%s %s: got %d %s, want %d", method, target, w.Code, w.Body, want)
	}
	return w.Body.String()
}

func TestADirectoryKeepsWhatWasAcknowledged(t *testing.T) {
	cfg := embed.Config{Dir: t.TempDir()}
	n := open(t, cfg)
	ask(t, n, http.MethodPut, "/v1/stream/gid://app/Room/1", "", http.StatusCreated)
	ask(t, n, http.MethodPost, "/v1/stream/gid://app/Room/1", "one", http.StatusNoContent)
	if _, err := embed.Open(cfg); err == nil || !strings.Contains(err.Error(), cfg.Dir) {
		t.Fatalf("a second node in the directory: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = open(t, cfg)
	ask(t, n, http.MethodPost, "/v1/stream/gid://app/Room/1", "two", http.StatusNoContent)
	if got := ask(t, n, http.MethodGet, "/v1/stream/gid://app/Room/1?offset=-1", "", http.StatusOK); got != "onetwo" {
		t.Fatalf("got %q", got)
	}
}

func TestMemoryKeepsNothingAndTouchesNoDisk(t *testing.T) {
	t.Chdir(t.TempDir())
	for range 2 {
		n := open(t, embed.Config{})
		ask(t, n, http.MethodPut, "/v1/stream/s", "x", http.StatusCreated)
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Fatalf("left %v, %v", left, err)
	}
}

func TestStreamsExpire(t *testing.T) {
	n := open(t, embed.Config{})
	r := httptest.NewRequest(http.MethodPut, "/v1/stream/s", nil)
	r.Header.Set("Content-Type", "text/plain")
	r.Header.Set("Stream-TTL", "1")
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	if w.Code != http.StatusCreated {
		t.Fatal(w.Code)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		w := httptest.NewRecorder()
		n.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/v1/stream/s", nil))
		if w.Code == http.StatusNotFound || w.Code == http.StatusGone {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it answers %d still", w.Code)
		}
	}
}

// Close ends a live reader, whose connection ends well.
func TestCloseEndsLiveReaders(t *testing.T) {
	n := open(t, embed.Config{})
	ask(t, n, http.MethodPut, "/v1/stream/s", "x", http.StatusCreated)
	server := httptest.NewServer(n)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/v1/stream/s?offset=-1&live=sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	if first, err := lines.ReadString('\n'); err != nil || first != "event: data\n" {
		t.Fatalf("got %q, %v", first, err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsForTheCommandIsRefused(t *testing.T) {
	if _, err := embed.Open(embed.Config{HTTP: httpapi.Config{Damaged: make(chan struct{})}}); err == nil || !strings.Contains(err.Error(), "HTTP.Subscriptions, Webhooks and Damaged") {
		t.Errorf("got %v", err)
	}
	if _, err := embed.Open(embed.Config{HTTP: httpapi.Config{BasePath: "x"}}); err == nil || !strings.Contains(err.Error(), "BasePath") {
		t.Errorf("got %v", err)
	}
}
