package main

import (
	"encoding/json"
	"net/http"
	"sync/atomic"

	"mainstem/operator"
)

// frontDoor is the handler that listens from the first moment. Until the node
// is open it answers for it: alive, not ready, and 503 for everything else, so
// that a valid request never meets a refused connection or a 4xx during a start.
type frontDoor struct {
	open     atomic.Pointer[http.Handler] // nil while the node starts
	progress progress                     // of the start
}

// letIn hands all requests from now on to the node's own handler.
func (d *frontDoor) letIn(h http.Handler) { d.open.Store(&h) }

func (d *frontDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := d.open.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Retry-After")
	h.Set("Cache-Control", "no-store")
	switch {
	case r.Method == http.MethodOptions: // a browser that may ask will see the 503 and its Retry-After
		h.Set("Access-Control-Allow-Methods", "*")
		h.Set("Access-Control-Allow-Headers", "*")
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == operator.LivePath || r.URL.Path == operator.HealthPath:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	case r.URL.Path == operator.StartPath:
		unavailable(w, r, "STARTING", d.progress.String())
	default:
		unavailable(w, r, "STARTING", "this node is starting; nothing was read or written")
	}
}

// unavailable answers 503.
func unavailable(w http.ResponseWriter, r *http.Request, reason, detail string) {
	w.Header().Set("Retry-After", "1")
	problemJSON(w, r, http.StatusServiceUnavailable, "UNAVAILABLE", reason, detail)
}

// problemJSON answers with a problem body, as httpapi does.
func problemJSON(w http.ResponseWriter, r *http.Request, status int, code, reason, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{ // a client that left needs no answer
		"type": "about:blank", "title": http.StatusText(status), "status": status,
		"code": code, "reason": reason, "detail": detail, "instance": r.URL.EscapedPath(),
	})
}
