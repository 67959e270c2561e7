package test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

// control is a client of the calls about subscriptions, through any node: a call
// that a dying node does not answer is made again at another.
type control struct{ nodes []*harness.Node }

// controlBody is what the tests read of any answer.
type controlBody struct {
	WakeID     string       `json:"wake_id"`
	Generation uint64       `json:"generation"`
	Token      string       `json:"token"`
	Streams    []linkedBody `json:"streams"`
	Status     any          `json:"status"` // a word of a subscription, a number in a problem
	OK         bool         `json:"ok"`
	NextWake   bool         `json:"next_wake"`
	Webhook    struct {
		Signing struct {
			Kid string `json:"kid"`
		} `json:"signing"`
	} `json:"webhook"`
	Error struct {
		Code          string `json:"code"`
		CurrentHolder string `json:"current_holder"`
		Generation    uint64 `json:"generation"`
	} `json:"error"`
}

type linkedBody struct {
	Path        string `json:"path"`
	LinkType    string `json:"link_type"`
	AckedOffset string `json:"acked_offset"`
	TailOffset  string `json:"tail_offset"`
	HasPending  bool   `json:"has_pending"`
}

// once makes a call at one node.
func (c control) once(ctx context.Context, node *harness.Node, method, path, token string, body any) (int, controlBody, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, controlBody{}, err
	}
	h := harness.Headers("Content-Type", "application/json")
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	client := node.Client()
	defer client.CloseIdle()
	a, err := client.Do(ctx, method, harness.StreamPath("__ds/"+path), h, strings.NewReader(string(text)))
	if err != nil {
		return 0, controlBody{}, err
	}
	var answer controlBody
	if len(a.Body) > 0 {
		if err := json.Unmarshal(a.Body, &answer); err != nil {
			return a.Status, answer, fmt.Errorf("%w in %s", err, a)
		}
	}
	return a.Status, answer, nil
}

// any makes a call at some node, again and again until one answers it, or ctx
// ends.
func (c control) any(ctx context.Context, method, path, token string, body any) (int, controlBody, error) {
	for {
		status, answer, err := c.once(ctx, c.nodes[rand.IntN(len(c.nodes))], method, path, token, body)
		if err == nil && status < 500 || ctx.Err() != nil {
			return status, answer, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// must makes a call that has to be answered with a status.
func (c control) must(t *testing.T, want int, method, path string, body any) controlBody {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	status, answer, err := c.any(ctx, method, path, "", body)
	if err != nil || status != want {
		t.Fatalf("%s %s: %d %+v (%v), want %d", method, path, status, answer, err, want)
	}
	return answer
}

func subscription(id string) string { return "subscriptions/" + url.PathEscape(id) }

// tails asks for the end of each stream.
func (c control) tails(t *testing.T, names []string) map[string]string {
	t.Helper()
	tails := map[string]string{}
	for _, name := range names {
		harness.Eventually(t, 20*time.Second, "HEAD of "+name, func() error {
			client := c.nodes[rand.IntN(len(c.nodes))].Client()
			defer client.CloseIdle()
			a, err := client.Head(name, nil)
			if err == nil && a.Status != http.StatusOK {
				err = &harness.Refused{Answer: a}
			}
			tails[name] = a.Next()
			return err
		})
	}
	return tails
}

// covered checks that a subscription has a cursor at the end of each stream.
func (c control) covered(ctx context.Context, id string, tails map[string]string) error {
	status, answer, err := c.any(ctx, http.MethodGet, subscription(id), "", nil)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("%s: %d (%v)", id, status, err)
	}
	acked := map[string]string{}
	for _, link := range answer.Streams {
		acked[link.Path] = link.AckedOffset
	}
	for name, tail := range tails {
		if acked[name] != tail {
			return fmt.Errorf("%s: the cursor of %s is at %q, the stream ends at %s", id, name, acked[name], tail)
		}
	}
	return nil
}
