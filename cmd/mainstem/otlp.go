package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// otlpPath is where a receiver takes traces when its URL has no path.
	otlpPath = "/v1/traces"
	// otlpTimeout bounds one request to it, otlpTries those for one batch of spans.
	otlpTimeout = 5 * time.Second
	otlpTries   = 3
	otlpPause   = 500 * time.Millisecond
	// otlpAnswerMax is what is read of an answer, for the log.
	otlpAnswerMax = 512
)

// otlpClient sends spans by OTLP over HTTP. OpenTelemetry's own client of this kind
// brings gRPC into the program, seven megabytes of it, and this is all it would do.
type otlpClient struct {
	url    string
	header http.Header
	http   *http.Client
}

var _ otlptrace.Client = (*otlpClient)(nil)

func newOTLPClient(endpoint string, headers []string) (*otlpClient, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = otlpPath
	}
	c := &otlpClient{url: u.String(), header: http.Header{}, http: &http.Client{Timeout: otlpTimeout, Transport: http.DefaultTransport.(*http.Transport).Clone()}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, "=")
		c.header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	c.header.Set("Content-Type", "application/x-protobuf")
	return c, nil
}

func (*otlpClient) Start(context.Context) error { return nil }

func (c *otlpClient) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces sends some spans. TracesData has the fields, by number, of the
// request that a receiver expects.
func (c *otlpClient) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	for try := 1; ; try++ {
		again, err := c.post(ctx, body)
		if err == nil || !again || try == otlpTries {
			return err
		}
		select {
		case <-time.After(otlpPause):
		case <-ctx.Done():
			return err
		}
	}
}

// post reports whether it is worth to send the same again.
func (c *otlpClient) post(ctx context.Context, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header = c.header
	res, err := c.http.Do(req)
	if err != nil {
		return true, err
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, otlpAnswerMax)) // it only adds to the log
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	if res.StatusCode/100 != 2 {
		return again, fmt.Errorf("%s answered %s: %q", c.url, res.Status, answer)
	}
	return false, nil
}
