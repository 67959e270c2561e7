package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mainstem/backup"
	"mainstem/operator"
	"mainstem/storage"
	"mainstem/stream"
)

// servedBackups are those of a node with a few pairs in its copy.
func servedBackups(t *testing.T, dir storage.Dir) (*backups, *http.ServeMux) {
	t.Helper()
	e, err := storage.Open(storage.Config{Dir: dir.Copy()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	batch := e.NewBatch()
	batch.PutStream("a", stream.AppendState(nil, &stream.State{Incarnation: 1, Seq: "state"}))
	if err := e.Commit(batch, storage.Globals{Applied: 7, Term: 2}); err != nil {
		t.Fatal(err)
	}
	b := &backups{
		view: e.View, fence: func(context.Context) error { return nil }, damage: func() string { return "" }, fs: vfs.Default, dir: dir, now: time.Now,
		log: slog.New(slog.DiscardHandler), whoami: func(context.Context) (string, string) { return "n1", "c1" },
	}
	if err := b.prepare(prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	b.handle(mux, byPlace("secret"))
	return b, mux
}

func post(mux *http.ServeMux, target, body string, token string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(body))
	r.RemoteAddr = "10.0.0.9:1234"
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

func TestBackupsAreTheOperatorsAlone(t *testing.T) {
	_, mux := servedBackups(t, storage.Dir(t.TempDir()))
	for _, path := range []string{operator.BackupPath, operator.BackupDonePath} {
		for _, token := range []string{"", "wrong"} {
			if w := post(mux, path, "", token); w.Code != http.StatusForbidden || strings.Contains(w.Body.String(), "state") {
				t.Fatalf("%s with token %q: got %d %s", path, token, w.Code, w.Body)
			}
		}
	}
	if w := post(mux, operator.BackupPath, "", "secret"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "state") {
		t.Fatalf("got %d %q", w.Code, w.Body)
	}
}

func TestABackupIsRefusedWithAReason(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *backups)
		query  string
		status int
		reason string
	}{
		"another is read":       {func(b *backups) { b.turn <- struct{}{} }, "", 409, "BACKUP_RUNS"},
		"damaged":               {func(b *backups) { b.damage = func() string { return "flipped" } }, "", 503, "REPLICA_DAMAGED"},
		"no leader":             {func(b *backups) { b.fence = func(context.Context) error { return errors.New("nobody leads") } }, "", 503, "NO_LEADER"},
		"stops":                 {func(b *backups) { b.view = func() (*storage.View, error) { return nil, storage.ErrClosed } }, "", 503, "STOPPING"},
		"base of another":       {nil, "?base_cluster=c2&base_index=3", 409, "BASE_UNFIT"},
		"base of later":         {nil, "?base_cluster=c1&base_index=8", 409, "BASE_UNFIT"},
		"base without an index": {nil, "?base_cluster=c1", 400, "MALFORMED"},
		"no leader, and local":  {func(b *backups) { b.fence = func(context.Context) error { return errors.New("nobody leads") } }, "?local=true", 200, ""},
		"base of before":        {nil, "?base_cluster=c1&base_index=7", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, mux := servedBackups(t, storage.Dir(t.TempDir()))
			if c.change != nil {
				c.change(b)
			}
			w := post(mux, operator.BackupPath+c.query, "", "secret")
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.reason) {
				t.Fatalf("got %d %s, want %d %s", w.Code, w.Body, c.status, c.reason)
			}
		})
	}
}

func TestABackupWithATableTooLargeIsRefused(t *testing.T) {
	_, mux := servedBackups(t, storage.Dir(t.TempDir()))
	w := post(mux, operator.BackupPath+"?base_cluster=c1&base_index=7", strings.Repeat("x", backup.BaseBytesMax+1), "secret")
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "full backup") {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
}

// TestAStoppingNodeBreaksABackupOff: the stop is not to wait for a slow reader.
func TestAStoppingNodeBreaksABackupOff(t *testing.T) {
	b, mux := servedBackups(t, storage.Dir(t.TempDir()))
	entered := make(chan struct{})
	b.fence = func(ctx context.Context) error {
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}
	answered := make(chan int)
	go func() { answered <- post(mux, operator.BackupPath, "", "secret").Code }()
	<-entered
	b.stop()
	b.stop()
	if code := <-answered; code != http.StatusServiceUnavailable {
		t.Fatalf("got %d", code)
	}
}

func TestTheLastBackupSurvivesARestart(t *testing.T) {
	dir := storage.Dir(t.TempDir())
	b, mux := servedBackups(t, dir)
	if got := testutil.ToFloat64(b.last); got != 0 {
		t.Fatalf("before any backup the metric is %v", got)
	}
	taken := time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond)
	note := func(at time.Time) string {
		return fmt.Sprintf(`{"id":"b1","index":7,"taken_at":%q}`, at.Format(time.RFC3339Nano))
	}
	for name, body := range map[string]string{"nothing": "", "no id": `{"index":3}`, "the future": note(time.Now().Add(time.Hour))} {
		if w := post(mux, operator.BackupDonePath, body, "secret"); w.Code != http.StatusBadRequest {
			t.Fatalf("%s: got %d %s", name, w.Code, w.Body)
		}
	}
	if w := post(mux, operator.BackupDonePath, note(taken), "secret"); w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	again := &backups{fs: vfs.Default, dir: dir}
	if err := again.prepare(prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*backups{b, again} {
		if got, want := testutil.ToFloat64(b.last), float64(taken.UnixMilli())/1000; got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}
