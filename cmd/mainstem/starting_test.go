package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mainstem/phase"
)

func TestNothingValidGetsA4xxDuringAStart(t *testing.T) {
	door := new(frontDoor)
	for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE"} {
		for _, path := range []string{"/v1/stream/a//b", "/v1/stream/gid://app/Room/1", "/readyz", "/metrics", "/v1/cluster/status"} {
			w := httptest.NewRecorder()
			door.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
				t.Fatalf("%s %s: got %d with Retry-After %q, want 503 with one", method, path, w.Code, w.Header().Get("Retry-After"))
			}
			var problem struct {
				Status                    int
				Type, Title, Code, Detail string
				Instance                  string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
				t.Fatalf("%s %s: %v in %q", method, path, err, w.Body)
			}
			if problem.Status != 503 || problem.Code != "UNAVAILABLE" || problem.Instance != path || problem.Type == "" || problem.Title == "" || problem.Detail == "" {
				t.Fatalf("%s %s: got %+v", method, path, problem)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%s %s: got headers %v", method, path, w.Header())
			}
		}
	}
}

func TestAStartingProcessIsAlive(t *testing.T) {
	door := new(frontDoor)
	for path, want := range map[string]int{"/livez": 200, "/healthz": 200, "/readyz": 503, "/startupz": 503} {
		w := httptest.NewRecorder()
		door.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != want {
			t.Errorf("%s: got %d, want %d", path, w.Code, want)
		}
	}
}

func TestTheFrontDoorLetsIn(t *testing.T) {
	door := new(frontDoor)
	door.letIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	w := httptest.NewRecorder()
	door.ServeHTTP(w, httptest.NewRequest("GET", "/v1/stream/x", nil))
	if w.Code != http.StatusTeapot {
		t.Fatalf("got %d, want what the handler behind answers", w.Code)
	}
}

// TestAStartTellsHowFarItIs: a start that takes long is told from one that hangs.
func TestAStartTellsHowFarItIs(t *testing.T) {
	door := new(frontDoor)
	var opened stack
	opened.told = door.progress.note
	shows := func(want string) {
		t.Helper()
		w := httptest.NewRecorder()
		door.ServeHTTP(w, httptest.NewRequest("GET", "/startupz", nil))
		if w.Code != 503 || !strings.Contains(w.Body.String(), want) {
			t.Fatalf("got %d %s, want 503 and %q", w.Code, w.Body, want)
		}
	}
	shows("has not begun")
	door.progress.enter(phase.Open)
	shows("step open_storage for ")
	shows("open: nothing")
	opened.push("data directory", func() error { return nil })
	opened.push("copy", func() error { return nil })
	door.progress.enter(phase.Join)
	shows("step join_cluster for ")
	shows("open: data directory, copy")
	door.letIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	w := httptest.NewRecorder()
	door.ServeHTTP(w, httptest.NewRequest("GET", "/startupz", nil))
	if w.Code != 200 {
		t.Fatalf("after the start: got %d", w.Code)
	}
}
