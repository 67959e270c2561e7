package httpapi_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"mainstem/httpapi"
	"mainstem/stream"
)

// TestServeForOtherSuites serves a node at the address in HTTPAPI_TEST_LISTEN
// for HTTPAPI_TEST_FOR, so that suites in other languages can be run against
// this package alone.
func TestServeForOtherSuites(t *testing.T) {
	address := os.Getenv("HTTPAPI_TEST_LISTEN")
	if address == "" {
		t.Skip("HTTPAPI_TEST_LISTEN is not set")
	}
	period, err := time.ParseDuration(os.Getenv("HTTPAPI_TEST_FOR"))
	if err != nil {
		t.Fatalf("HTTPAPI_TEST_FOR: %v", err)
	}
	n := newNode(t)
	s := n.serve(httpapi.Config{LongPollTimeout: 500 * time.Millisecond})
	defer run(s)()
	defer sweep(n)()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s}
	defer time.AfterFunc(period, func() { _ = server.Close() }).Stop()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		t.Fatal(err)
	}
}

// sweep expires streams, as a leader does.
func sweep(n *node) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		n.log.Sweep(ctx, 100*time.Millisecond, n.now, func(_ context.Context, c stream.Command) error {
			n.log.submit(c, n.now())
			return nil
		})
	})
	return func() {
		cancel()
		running.Wait()
	}
}
