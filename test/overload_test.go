package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	overloadWriters = 160 // ten times what is let in at a time
	overloadBody    = 1 << 20
	overloadWithin  = 4 * time.Minute
	overloadPause   = 20 * time.Millisecond // less than Retry-After says
	// overloadMemory is the most that one node may have taken: its budget, what a
	// process takes beside that, and a few copies of what is in flight. What all
	// writers hold would be more by itself, several times over.
	overloadMemory = 320 << 20
)

// TestOverloadIsRefusedFastAndTakesNoMemory: many more writers than a follower takes
// at a time each write one megabyte through it, and come again until they are let in.
// The others are told so, before their bodies are read; nothing that was accepted is
// lost, nothing that was refused is there.
func TestOverloadIsRefusedFastAndTakesNoMemory(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3, "--max-in-flight-bytes", "16MiB", "--max-body-bytes", "2MiB", "--memory-bytes", "64MiB")
	leader := c.Leader()
	through := c.Nodes[0]
	if through == leader {
		through = c.Nodes[1]
	}
	url := "http://" + through.Addr + "/v1/stream/crowd"
	send(t, http.DefaultClient, http.MethodPut, url, nil, 201)
	for _, n := range c.Nodes {
		if err := n.ForgetPeak(); err != nil {
			t.Fatal(err)
		}
	}
	refused := crowd(t, url)
	t.Logf("%d writers were let in, after %d refusals", overloadWriters, refused)
	if refused < overloadWriters/10 {
		t.Errorf("only %d refusals: this was no overload", refused)
	}
	for _, n := range c.Nodes {
		peak, err := n.PeakMemory()
		t.Logf("node %s took %d MiB at most", n.ID, peak>>20)
		if err != nil || peak > overloadMemory {
			t.Errorf("node %s took %d MiB, %v; at most %d are due", n.ID, peak>>20, err, overloadMemory>>20)
		}
	}
	if held, err := metric(through, "mainstem_in_flight_bytes"); err != nil || held != 0 {
		t.Errorf("%v bytes are in flight after all: %v", held, err)
	}
	if counted, err := metric(through, `mainstem_http_refused_total\{reason="TOO_MUCH_IN_FLIGHT"\}`); err != nil || int64(counted) != refused {
		t.Errorf("%v refusals are counted, %v; %d were seen", counted, err, refused)
	}
	everyWriterOnce(t, url)
}

// crowd lets all writers write at once, each until it was let in, and returns how
// often one was not for want of room. Each is a producer, so that an election beside
// all this, which the load may bring about, leaves no doubt.
func crowd(t *testing.T, url string) int64 {
	t.Helper()
	var refused atomic.Int64
	var writers sync.WaitGroup
	begin := make(chan struct{})
	deadline := time.Now().Add(overloadWithin)
	for w := range overloadWriters {
		writers.Go(func() {
			body := bytes.Repeat([]byte{' '}, overloadBody)
			copy(body, fmt.Sprintf("writer %d;", w))
			client := &http.Client{Transport: &http.Transport{
				DialContext: (&net.Dialer{}).DialContext, ExpectContinueTimeout: time.Minute, // a body is sent to whom wants it
			}}
			defer client.CloseIdleConnections()
			<-begin
			for time.Now().Before(deadline) {
				letIn, full, err := try(client, url, fmt.Sprint(w), body)
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				if letIn {
					return
				}
				if full {
					refused.Add(1)
				}
				time.Sleep(overloadPause)
			}
			t.Errorf("writer %d was never let in", w)
		})
	}
	close(begin)
	writers.Wait()
	return refused.Load()
}

// try writes once. What is no yes must be a no as it should be; full tells whether
// it was one for want of room.
func try(client *http.Client, url, producer string, body []byte) (letIn, full bool, err error) {
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false, false, err
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	r.Header.Set("Expect", "100-continue")
	r.Header.Set("Producer-Id", producer)
	r.Header.Set("Producer-Epoch", "0")
	r.Header.Set("Producer-Seq", "0")
	res, err := client.Do(r)
	if err != nil {
		return false, false, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode == http.StatusOK || res.StatusCode == http.StatusNoContent {
		return err == nil, false, err
	}
	var problem struct{ Reason, Detail string }
	if err := json.Unmarshal(text, &problem); err != nil {
		return false, false, fmt.Errorf("%s: %s: %w", res.Status, text, err)
	}
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || problem.Reason == "" || problem.Detail == "" {
		return false, false, fmt.Errorf("%s, Retry-After %q: %s", res.Status, res.Header.Get("Retry-After"), text)
	}
	return false, problem.Reason == "TOO_MUCH_IN_FLIGHT", nil
}

// everyWriterOnce reads the stream, which holds one append in each chunk.
func everyWriterOnce(t *testing.T, url string) {
	t.Helper()
	seen := map[string]int{}
	for offset, appends := "-1", 0; ; appends++ {
		res, err := http.Get(url + "?offset=" + offset)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s, %v", res.Status, err)
		}
		if len(body) > 0 {
			name, rest, _ := strings.Cut(string(body), ";")
			if len(body) != overloadBody || strings.TrimSpace(rest) != "" {
				t.Fatalf("append %d has %d bytes and begins with %.20q", appends, len(body), body)
			}
			seen[name]++
		}
		offset = res.Header.Get("Stream-Next-Offset")
		if res.Header.Get("Stream-Up-To-Date") == "true" {
			break
		}
	}
	for w := range overloadWriters {
		if n := seen[fmt.Sprintf("writer %d", w)]; n != 1 {
			t.Errorf("writer %d is there %d times", w, n)
		}
	}
	if len(seen) != overloadWriters {
		t.Errorf("%d writers are there", len(seen))
	}
}

func send(t *testing.T, client *http.Client, method, url string, body io.Reader, status int) {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != status {
		t.Fatalf("%s %s: %s", method, url, res.Status)
	}
}
