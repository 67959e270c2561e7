package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// poster makes the requests. It is the only part that touches the network.
type poster struct {
	allowInsecure bool
	https         *http.Client // to public addresses alone
	http          *http.Client // to this machine alone, for development
}

func newPoster(cfg Config) *poster {
	return &poster{
		allowInsecure: cfg.AllowInsecure,
		https:         newClient(cfg, checkPublic),
		http:          newClient(cfg, checkLoopback),
	}
}

// send makes one delivery. The error says why the result is not done or accepted,
// without the URL, whose path may hold a secret.
func (p *poster) send(ctx context.Context, target string, body []byte, signed string) (result, error) {
	if err := checkURL(target, p.allowInsecure); err != nil {
		return resultAddress, err // what is allowed may have changed since it was taken
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return resultAddress, errors.New("this is not a URL that a request can be made of")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "mainstem")
	request.Header.Set(headerSignature, signed)
	client := p.https
	if request.URL.Scheme == "http" {
		client = p.http
	}
	response, err := client.Do(request)
	if err != nil {
		return failure(err)
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return resultStatus, fmt.Errorf("the receiver answered %d", response.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	if err != nil {
		return failure(err)
	}
	if isDone(answer) {
		return resultDone, nil
	}
	return resultAccepted, nil
}

// isDone tells whether a receiver has finished (§7.1). Anything but the member with
// this value means that it will call back.
func isDone(answer []byte) bool {
	var a struct {
		Done bool `json:"done"`
	}
	return json.Unmarshal(answer, &a) == nil && a.Done
}

// failure sorts what went wrong on the way.
func failure(err error) (result, error) {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var timeout net.Error
	switch {
	case errors.Is(err, errAddress):
		return resultAddress, err
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return resultTimeout, err
	}
	return resultBroken, err
}

// closeIdle hangs up what is kept open for later.
func (p *poster) closeIdle() {
	p.https.CloseIdleConnections()
	p.http.CloseIdleConnections()
}

// targetOf is what deliveries are counted by: scheme, host and port.
func targetOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(net.JoinHostPort(u.Hostname(), port))
}
