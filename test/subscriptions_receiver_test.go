package test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"mainstem/test/harness"
)

// hookReceiver is a receiver of webhooks as a user would write one: it verifies
// each signature by the served keys alone, and remembers what it was sent.
type hookReceiver struct {
	control
	url    string
	handle func(w http.ResponseWriter, d hookDelivery)

	mu         sync.Mutex
	keys       map[string]ed25519.PublicKey
	deliveries []hookDelivery
	wakes      map[string]string // id/generation → wake id
	complaints []string
	calls      sync.WaitGroup // back to the server
}

type hookDelivery struct {
	at             time.Time
	kid            string
	SubscriptionID string       `json:"subscription_id"`
	WakeID         string       `json:"wake_id"`
	Generation     uint64       `json:"generation"`
	Streams        []linkedBody `json:"streams"`
	CallbackURL    string       `json:"callback_url"`
	CallbackToken  string       `json:"callback_token"`
}

func startReceiver(t *testing.T, c control, handle func(w http.ResponseWriter, d hookDelivery)) *hookReceiver {
	t.Helper()
	addr := harness.FreeAddr(t)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	r := &hookReceiver{control: c, url: "http://" + addr, handle: handle, keys: map[string]ed25519.PublicKey{}, wakes: map[string]string{}}
	server := &http.Server{Handler: r}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // until it is closed
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
		r.calls.Wait()
	})
	return r
}

func (r *hookReceiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // the leader was killed while it sent
	}
	d := hookDelivery{at: time.Now()}
	if err := json.Unmarshal(body, &d); err != nil {
		r.complain("a body is not JSON: %v", err)
	}
	if q.Method != http.MethodPost || q.Header.Get("Content-Type") != "application/json" {
		r.complain("%s with Content-Type %q", q.Method, q.Header.Get("Content-Type"))
	}
	if d.kid, err = r.verify(q.Context(), q.Header.Get("Webhook-Signature"), body); err != nil {
		if q.Context().Err() == nil {
			r.complain("signature of generation %d: %v", d.Generation, err)
		}
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.mu.Lock()
	r.deliveries = append(r.deliveries, d)
	key := fmt.Sprintf("%s/%d", d.SubscriptionID, d.Generation)
	if before, ok := r.wakes[key]; ok && before != d.WakeID {
		r.complaints = append(r.complaints, fmt.Sprintf("%s came as %s and as %s", key, before, d.WakeID))
	}
	r.wakes[key] = d.WakeID
	r.mu.Unlock()
	r.handle(w, d)
}

var signatureForm = regexp.MustCompile(`^t=(\d+),kid=(ds_[A-Za-z0-9_-]+),ed25519=([A-Za-z0-9_-]+)$`)

// verify checks a signature as §7.1 tells receivers to.
func (r *hookReceiver) verify(ctx context.Context, header string, body []byte) (kid string, err error) {
	m := signatureForm.FindStringSubmatch(header)
	if m == nil {
		return "", fmt.Errorf("the header is %q", header)
	}
	t, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || time.Since(time.Unix(t, 0)).Abs() > 5*time.Minute {
		return "", fmt.Errorf("signed at %s", m[1])
	}
	key, err := r.key(ctx, m[2])
	if err != nil {
		return "", err
	}
	signature, err := base64.RawURLEncoding.DecodeString(m[3])
	if err != nil || !ed25519.Verify(key, append([]byte(m[1]+"."), body...), signature) {
		return "", fmt.Errorf("it does not verify (%v)", err)
	}
	return m[2], nil
}

// key returns a public key; for one that is new the set is fetched again, from
// whichever node answers.
func (r *hookReceiver) key(ctx context.Context, kid string) (ed25519.PublicKey, error) {
	r.mu.Lock()
	key, ok := r.keys[kid]
	r.mu.Unlock()
	if ok {
		return key, nil
	}
	for ctx.Err() == nil {
		found, err := r.fetchKeys(ctx)
		if err == nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.keys = found
			if key, ok := found[kid]; ok {
				return key, nil
			}
			return nil, fmt.Errorf("the served keys have no %s", kid)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, ctx.Err()
}

func (r *hookReceiver) fetchKeys(ctx context.Context) (map[string]ed25519.PublicKey, error) {
	client := r.nodes[rand.IntN(len(r.nodes))].Client()
	defer client.CloseIdle()
	a, err := client.Do(ctx, http.MethodGet, harness.StreamPath("__ds/jwks.json"), nil, nil)
	if err != nil || a.Status != http.StatusOK {
		return nil, fmt.Errorf("%s (%v)", a, err)
	}
	var set struct {
		Keys []struct{ Kty, Crv, Kid, X, D string }
	}
	if err := json.Unmarshal(a.Body, &set); err != nil {
		return nil, err
	}
	keys := map[string]ed25519.PublicKey{}
	for _, k := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil || len(x) != ed25519.PublicKeySize || k.Kty != "OKP" || k.Crv != "Ed25519" || k.D != "" {
			r.complain("a served key is %+v (%v)", k, err)
			continue
		}
		keys[k.Kid] = x
	}
	return keys, nil
}

func (r *hookReceiver) complain(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complaints = append(r.complaints, fmt.Sprintf(format, args...))
}

func (r *hookReceiver) got() []hookDelivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]hookDelivery(nil), r.deliveries...)
}

// check fails the test for what the receiver found wrong.
func (r *hookReceiver) check(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.complaints {
		t.Errorf("receiver: %s", c)
	}
}

// moody answers as receivers do: mostly done, at times with an error, and at times
// by a callback, of which some never come.
func (r *hookReceiver) moody(w http.ResponseWriter, d hookDelivery) {
	switch mood := rand.IntN(20); {
	case mood < 2:
		w.WriteHeader(http.StatusServiceUnavailable)
	case mood < 8:
		w.WriteHeader(http.StatusAccepted)
		if mood > 2 { // else it forgets
			r.calls.Add(1)
			go r.callBack(d)
		}
	default:
		_, _ = io.WriteString(w, `{"done":true}`)
	}
}

// callBack extends the lease once and then finishes.
func (r *hookReceiver) callBack(d hookDelivery) {
	defer r.calls.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	body := wakeCall{WakeID: d.WakeID, Generation: d.Generation}
	path := subscription(d.SubscriptionID) + "/callback"
	if status, answer, err := r.any(ctx, http.MethodPost, path, d.CallbackToken, body); err == nil && status != 200 && answer.Error.Code != "FENCED" {
		r.complain("heartbeat of generation %d: %d %+v", d.Generation, status, answer)
	}
	body.Acks, body.Done = acksOf(d.Streams), true
	status, answer, err := r.any(ctx, http.MethodPost, path, d.CallbackToken, body)
	if err == nil && status != 200 && answer.Error.Code != "FENCED" {
		r.complain("callback of generation %d: %d %+v", d.Generation, status, answer)
	}
}

type wakeCall struct {
	WakeID     string     `json:"wake_id"`
	Generation uint64     `json:"generation"`
	Acks       []wakeMove `json:"acks,omitempty"`
	Done       bool       `json:"done,omitempty"`
}

type wakeMove struct {
	Stream string `json:"stream"`
	Offset string `json:"offset"`
}

func acksOf(streams []linkedBody) (acks []wakeMove) {
	for _, s := range streams {
		if s.HasPending {
			acks = append(acks, wakeMove{s.Path, s.TailOffset})
		}
	}
	return acks
}
