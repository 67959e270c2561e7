package deploy

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	writers      = 6
	appendPause  = 5 * time.Millisecond
	acksBetween  = 100
	acksWithin   = time.Minute
	clientName   = release + "." + namespace + domain
	streamsURL   = "http://" + release + ":4437/v1/stream/"
	line         = "writer %d, append %d\n"
	answerWithin = 30 * time.Second
)

// load is writers of plain appends, each sent once, over connections that lead
// where a Service leads. Any error, a refused connection too, is a failed append.
type load struct {
	t      *testing.T
	name   string // streams begin with it
	stop   chan struct{}
	wait   sync.WaitGroup
	acked  [writers]atomic.Int64
	failed atomic.Pointer[error]
	note   func(string, ...any)

	mu      sync.Mutex // guards what follows
	last    time.Time
	longest time.Duration
}

// serviceClient chooses, for each connection, one of the endpoints that are ready.
func serviceClient(n *network) *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		addresses := n.behind(clientName)
		if len(addresses) == 0 {
			return nil, fmt.Errorf("no endpoint of %s is ready", clientName)
		}
		return new(net.Dialer).DialContext(ctx, "tcp", addresses[rand.IntN(len(addresses))]+":4437")
	}
	return &http.Client{Timeout: answerWithin, Transport: &http.Transport{DialContext: dial}}
}

func startLoad(t *testing.T, k *kubelet, name string) *load {
	t.Helper()
	l := &load{t: t, name: name, stop: make(chan struct{}), note: k.journal.note, last: time.Now()}
	for w := range writers {
		client := serviceClient(k.network)
		if status, body, err := l.send(client, http.MethodPut, w, ""); err != nil || status > 299 {
			t.Fatalf("create a stream: %d, %s, %v", status, body, err)
		}
		l.wait.Go(func() { l.write(client, w) })
	}
	t.Cleanup(l.finish)
	l.more(acksBetween)
	return l
}

func (l *load) send(client *http.Client, method string, writer int, body string) (int, string, error) {
	req, err := http.NewRequest(method, l.url(writer), strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "text/plain")
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, string(answer), err
}

func (l *load) url(writer int) string { return fmt.Sprintf("%s%s/%d", streamsURL, l.name, writer) }

func (l *load) write(client *http.Client, w int) {
	for {
		select {
		case <-l.stop:
			return
		case <-time.After(appendPause):
		}
		n := l.acked[w].Load()
		status, answer, err := l.send(client, http.MethodPost, w, fmt.Sprintf(line, w, n))
		if err != nil || status > 299 {
			err = fmt.Errorf("append %d of writer %d: status %d, %v: %s", n, w, status, err, answer)
			l.failed.CompareAndSwap(nil, &err)
			return
		}
		l.acked[w].Add(1)
		l.mu.Lock()
		now := time.Now()
		if gap := now.Sub(l.last); gap > l.longest {
			l.longest = gap
			l.note("nothing was acknowledged for %v", gap)
		}
		l.last = now
		l.mu.Unlock()
	}
}

func (l *load) total() (n int64) {
	for i := range l.acked {
		n += l.acked[i].Load()
	}
	return n
}

// more waits for that many acknowledgements, and fails the test if an append has
// failed.
func (l *load) more(n int64) {
	l.t.Helper()
	want := l.total() + n
	for end := time.Now().Add(acksWithin); l.total() < want; time.Sleep(lookEach) {
		if err := l.failed.Load(); err != nil {
			l.t.Fatalf("an append has failed: %v", *err)
		}
		if time.Now().After(end) {
			l.t.Fatalf("%d of %d acknowledgements within %v", l.total(), want, acksWithin)
		}
	}
}

// gap is the longest time without an acknowledgement since it was last asked.
func (l *load) gap() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	longest := l.longest
	l.longest = 0
	return longest.Round(time.Millisecond)
}

func (l *load) finish() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.wait.Wait()
}

// check ends the load and wants what was acknowledged in the streams, once and in
// order.
func (l *load) check(n *network) {
	l.t.Helper()
	l.finish()
	if err := l.failed.Load(); err != nil {
		l.t.Fatalf("an append has failed: %v", *err)
	}
	client := serviceClient(n)
	for w := range writers {
		got, err := readWhole(client, l.url(w))
		if err != nil {
			l.t.Fatal(err)
		}
		var want strings.Builder
		for i := range l.acked[w].Load() {
			fmt.Fprintf(&want, line, w, i)
		}
		if got != want.String() {
			l.t.Fatalf("writer %d: %d bytes are in its stream, %d were acknowledged; the stream ends with %q", w, len(got), want.Len(), got[max(0, len(got)-80):])
		}
	}
	l.t.Logf("%d appends by %d writers: none failed, all are there once and in order", l.total(), writers)
}

func readWhole(client *http.Client, url string) (string, error) {
	var b strings.Builder
	for from := "-1"; ; {
		res, err := client.Get(url + "?offset=" + from)
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			return "", fmt.Errorf("read: %s, %w: %s", res.Status, err, body)
		}
		b.Write(body)
		if res.Header.Get("Stream-Up-To-Date") == "true" {
			return b.String(), nil
		}
		from = res.Header.Get("Stream-Next-Offset")
	}
}
