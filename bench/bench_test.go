package bench

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// shelf is a server of the protocol, as small as it can be, with the faults that a
// bench must see.
type shelf struct {
	mu      sync.Mutex // guards streams
	streams map[string][]string
	fault   string
	appends int
	changed chan struct{}
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := r.URL.Path
	switch r.Method {
	case http.MethodPut:
		s.streams[name] = []string{}
		w.WriteHeader(http.StatusCreated)
	case http.MethodPost:
		s.append(w, r, name)
	case http.MethodDelete:
		delete(s.streams, name)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet:
		s.get(w, r, name)
	}
}

func (s *shelf) append(w http.ResponseWriter, r *http.Request, name string) {
	body, _ := io.ReadAll(r.Body)
	text := strings.Trim(string(body), "[]")
	s.appends++
	list := s.streams[name]
	switch third := s.appends%3 == 2; {
	case third && s.fault == "refuses":
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case third && s.fault == "loses":
	case third && s.fault == "doubles":
		list = append(list, text, text)
	case third && s.fault == "reorders" && len(list) > 0:
		list = append(list[:len(list)-1:len(list)-1], text, list[len(list)-1])
	default:
		list = append(list, text)
	}
	s.streams[name] = list
	close(s.changed)
	s.changed = make(chan struct{})
	w.WriteHeader(http.StatusNoContent)
}

// get answers a page of two at a time, or events.
func (s *shelf) get(w http.ResponseWriter, r *http.Request, name string) {
	at, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	at = max(at, 0)
	live := r.URL.Query().Get("live")
	if live == "sse" {
		s.events(w, r, name, at)
		return
	}
	for live == "long-poll" && at >= len(s.streams[name]) {
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
		}
		s.mu.Lock()
		if r.Context().Err() != nil {
			return
		}
	}
	list := s.streams[name]
	end := min(at+2, len(list))
	w.Header().Set("Stream-Next-Offset", strconv.Itoa(end))
	if end == len(list) {
		w.Header().Set("Stream-Up-To-Date", "true")
	}
	fmt.Fprintf(w, "[%s]", strings.Join(list[at:end], ","))
}

func (s *shelf) events(w http.ResponseWriter, r *http.Request, name string, at int) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		for ; at < len(s.streams[name]); at++ {
			fmt.Fprintf(w, "event: data\ndata: [%s]\n\nevent: control\ndata: {\"streamNextOffset\": \"%d\"}\n\n", s.streams[name][at], at+1)
		}
		_ = http.NewResponseController(w).Flush()
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
		case <-time.After(150 * time.Millisecond): // the reader has to come again
			s.mu.Lock()
			return
		}
		s.mu.Lock()
		if r.Context().Err() != nil {
			return
		}
	}
}

func serve(t *testing.T, fault string) Config {
	t.Helper()
	server := httptest.NewServer(&shelf{streams: map[string][]string{}, fault: fault, changed: make(chan struct{})})
	t.Cleanup(server.Close)
	return Config{Targets: []string{server.URL + "/s"}, Duration: 300 * time.Millisecond, Warmup: -1, Timeout: time.Second}
}

// TestABenchSeesWhatIsWrong: each fault of a server ends in a result that is not OK,
// and a server without faults in one that is.
func TestABenchSeesWhatIsWrong(t *testing.T) {
	for scenario, set := range map[string]func(*Config){
		"append":                 func(c *Config) { c.Connections, c.Streams = 3, 2 },
		"batch":                  func(c *Config) { c.Connections, c.Streams, c.Batch = 2, 5, 3 },
		"fanout":                 func(c *Config) { c.Readers, c.Rate = 3, 200 },
		"fanout over long-polls": func(c *Config) { c.Readers, c.Rate, c.Mode = 3, 200, ModeLongPoll },
		"mixed at full speed":    func(c *Config) { c.Readers, c.Streams, c.Connections, c.Rate = 6, 3, 2, RateMost },
		"mixed":                  func(c *Config) { c.Readers, c.Streams, c.Connections, c.Rate = 6, 3, 2, 200 },
	} {
		for fault, caught := range map[string]func(*Result) uint64{
			"":         nil,
			"loses":    func(r *Result) uint64 { return r.Check.Lost },
			"doubles":  func(r *Result) uint64 { return r.Check.Doubled },
			"reorders": func(r *Result) uint64 { return r.Check.Disordered + r.Check.Doubled },
			"refuses":  func(r *Result) uint64 { return uint64(len(r.Errors)) },
		} {
			t.Run(scenario+" "+fault, func(t *testing.T) {
				t.Parallel()
				c := serve(t, fault)
				c.Scenario, _, _ = strings.Cut(scenario, " ")
				set(&c)
				r, err := Run(context.Background(), c)
				if err != nil {
					t.Fatal(err)
				}
				if r.OK != (fault == "") || r.Check.Expected == 0 {
					t.Fatalf("OK is %v: %+v %v", r.OK, r.Check, r.Errors)
				}
				if caught != nil && caught(r) == 0 {
					t.Fatalf("seen as something else: %+v %v", r.Check, r.Errors)
				}
				for name, l := range r.Latencies {
					if l.Count == 0 || l.P50 <= 0 || l.Max < l.P50 {
						t.Errorf("latency of %s: %+v", name, l)
					}
				}
			})
		}
	}
}

// TestCatchUpCountsEveryPass.
func TestCatchUpCountsEveryPass(t *testing.T) {
	c := serve(t, "")
	c.Scenario, c.Megabytes, c.Batch, c.Size, c.Connections = "catchup", 1, 50, 1000, 2
	r, err := Run(context.Background(), c)
	if err != nil || !r.OK || r.Rates["MB/s"] <= 0 || r.Check.Expected != 1000 || r.Check.Got != 1000 {
		t.Fatalf("got %+v, %v", r, err)
	}
}

// TestTheCeilingTakesWritesBlindly.
func TestTheCeilingTakesWritesBlindly(t *testing.T) {
	server := httptest.NewServer(Ceiling())
	defer server.Close()
	for _, scenario := range []string{"append", "batch", "create"} {
		c := Config{Scenario: scenario, Targets: []string{server.URL}, Duration: 100 * time.Millisecond, Warmup: -1, Blind: true, Streams: 20}
		r, err := Run(context.Background(), c)
		if err != nil || !r.OK {
			t.Fatalf("%s: got %+v, %v", scenario, r, err)
		}
	}
}

// TestAComparisonTakesTurns and shows ratios of medians.
func TestAComparisonTakesTurns(t *testing.T) {
	a, b := serve(t, ""), serve(t, "loses")
	a.Scenario, b.Scenario, a.Label, b.Label = "append", "append", "a", "b"
	a.Duration, b.Duration = 50*time.Millisecond, 50*time.Millisecond
	var order []string
	c, err := Compare(context.Background(), a, b, 3, func(r *Result) { order = append(order, r.Label) })
	if err != nil || c.OK || strings.Join(order, "") != "abbaab" {
		t.Fatalf("got %+v, %q, %v", c, order, err)
	}
	want := c.Median[0].Rates["appends/s"] / c.Median[1].Rates["appends/s"]
	if got := c.Ratios["appends/s"]; got != want || got <= 0 {
		t.Fatalf("got %v, want %v", got, want)
	}
	var text bytes.Buffer
	if err := c.Print(&text); err != nil || !strings.Contains(text.String(), "appends/s") {
		t.Fatalf("got %q, %v", text.String(), err)
	}
}

func TestConfigsThatCannotBeRun(t *testing.T) {
	good := Config{Scenario: "append", Targets: []string{"http://x/v1"}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"scenario": func(c *Config) { c.Scenario = "apend" },
		"target":   func(c *Config) { c.Targets = nil },
		"URL":      func(c *Config) { c.Targets = []string{"127.0.0.1:4437"} },
		"header":   func(c *Config) { c.Headers = []string{"X: a\r\nY: b"} },
		"mode":     func(c *Config) { c.Mode = "poll" },
		"number":   func(c *Config) { c.Streams = -1 },
		"rate":     func(c *Config) { c.Rate = -2 },
	} {
		c := good
		spoil(&c)
		if c.Validate() == nil {
			t.Errorf("a bad %s is taken", name)
		}
	}
}

// What fills messages must pack as text does: zeros would flatter servers that pack
// what they store, and noise would punish them.
func TestMessagesPackLikeText(t *testing.T) {
	for name, batch := range map[string]int{"one large": 1, "a hundred": 100} {
		f := newFormat(true, 25_600/batch)
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, flate.DefaultCompression)
		if err != nil {
			t.Fatal(err)
		}
		text := f.body(batch).stamp(3, 1000, 1_700_000_000_000_000_000)
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if share := float64(packed.Len()) / float64(len(text)); share < 0.3 || share > 0.6 {
			t.Errorf("%s: packed to %.2f, text gives about 0.4", name, share)
		} else {
			t.Logf("%s: packed to %.2f", name, share)
		}
	}
	f := newFormat(true, 256)
	b := f.body(1)
	if one := string(b.stamp(1, 1, 1)); one[f.fillAt:] == string(b.stamp(1, 2, 1))[f.fillAt:] {
		t.Error("messages hold the same words")
	}
}
