package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/operator"
	"mainstem/storage"
)

func TestChecksumAnswersOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		h := checksumHandler(func(context.Context) (storage.Sum, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(time.Second)
			return storage.Sum{Hash: "ab", Applied: 7, Keys: 2, Bytes: 30}, nil
		})
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				w := httptest.NewRecorder()
				h(w, httptest.NewRequest("GET", operator.ChecksumPath, nil))
				if got, want := strings.TrimSpace(w.Body.String()), `{"applied":7,"bytes":30,"keys":2,"sum":"ab"}`; w.Code != http.StatusOK || got != want {
					t.Errorf("got %d %s, want 200 %s", w.Code, got, want)
				}
			})
		}
		all.Wait()
		if most.Load() != 1 {
			t.Fatalf("%d ran at once", most.Load())
		}
	})
}

func TestAChecksumThatBreaksOffIsAProblem(t *testing.T) {
	h := checksumHandler(func(context.Context) (storage.Sum, error) { return storage.Sum{}, errors.New("disk on fire") })
	w := httptest.NewRecorder()
	h(w, httptest.NewRequest("GET", operator.ChecksumPath, nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Type") != "application/problem+json" || !strings.Contains(w.Body.String(), "disk on fire") {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
}
