package httpapi

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// account is what is told of one request, in a line of the log and in a span,
// under the same names. There is none while neither is asked for, so that
// requests do not pay for it.
type account struct {
	log   *slog.Logger
	span  trace.Span // nil: not traced
	facts []slog.Attr
	code  string // of the problem it was answered with
	why   string // the finer reason
}

// accountKey is the account's place in an echo.Context.
const accountKey = "mainstem.account"

// open begins the account of a request, nil when nobody asks for one. A traced
// request gets a context that carries its span.
func (s *Server) open(c echo.Context, op operation) *account {
	r := c.Request()
	logged := s.log.Enabled(r.Context(), slog.LevelDebug)
	traced := s.cfg.Tracer != nil && op.traced()
	if !logged && !traced {
		return nil
	}
	a := &account{log: s.log}
	if traced {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := s.cfg.Tracer.Start(ctx, operationNames[op], trace.WithSpanKind(trace.SpanKindServer))
		r = r.WithContext(ctx)
		c.SetRequest(r)
		if span.IsRecording() {
			a.span = span
		} else {
			span.End()
		}
	}
	if !logged && a.span == nil {
		return nil
	}
	a.facts = s.factsOf(r)
	c.Set(accountKey, a)
	return a
}

// traced tells which operations get a span: not those that come every few seconds
// from a machine that watches this one.
func (op operation) traced() bool {
	switch op {
	case opHealth, opMetrics, opPreflight, opStatus, opOther:
		return false
	}
	return true
}

// accountOf is the account of a request, nil when there is none.
func accountOf(c echo.Context) *account {
	a, _ := c.Get(accountKey).(*account)
	return a
}

// factsOf is what is known before a request is served.
func (s *Server) factsOf(r *http.Request) []slog.Attr {
	facts := []slog.Attr{
		slog.String("http.request.method", r.Method),
		slog.String("url.path", r.URL.EscapedPath()),
		slog.String("server.address", r.Host),
		slog.String("network.protocol.version", strings.TrimPrefix(r.Proto, "HTTP/")),
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		facts = append(facts, slog.String("client.address", host))
	}
	if r.URL.RawQuery != "" {
		facts = append(facts, slog.String("url.query", redacted(r.URL.RawQuery)))
	}
	if r.ContentLength > 0 {
		facts = append(facts, slog.Int64("http.request.body.size", r.ContentLength))
	}
	if name, err := s.parseName(r); err == nil {
		facts = append(facts, slog.String("ds.stream_id", string(name)))
	}
	return facts
}

// refused notes why a request was answered with a problem.
func (a *account) refused(no answer) {
	if a != nil {
		a.code, a.why = no.code, no.reason
	}
}

// close writes the line and ends the span.
func (a *account) close(op operation, status int, sent int64, took time.Duration) {
	if a == nil {
		return
	}
	a.facts = append(a.facts,
		slog.String("ds.operation", op.telling()),
		slog.Int("http.response.status_code", status),
		slog.Int64("http.response.body.size", sent))
	switch op {
	case opSSE, opLongPoll:
		a.facts = append(a.facts, slog.String("ds.live_mode", operationNames[op]))
	}
	if a.code != "" {
		a.facts = append(a.facts, slog.String("ds.error_code", a.code), slog.String("ds.error_reason", a.why))
	}
	if a.span != nil {
		a.span.SetAttributes(attributes(a.facts)...)
		if status >= http.StatusInternalServerError && status != statusClientLeft {
			a.span.SetStatus(codes.Error, a.why)
		}
		a.span.End()
		sc := a.span.SpanContext()
		a.facts = append(a.facts, slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	a.facts = append(a.facts, slog.Int64("event.duration", took.Nanoseconds()))
	a.log.LogAttrs(context.Background(), slog.LevelDebug, "request", a.facts...)
}

// telling is the operation as the Rust server's telemetry calls it.
func (op operation) telling() string {
	switch op {
	case opSSE:
		return "subscribe"
	case opLongPoll:
		return "poll"
	}
	return operationNames[op]
}

func attributes(facts []slog.Attr) []attribute.KeyValue {
	list := make([]attribute.KeyValue, 0, len(facts))
	for _, f := range facts {
		if f.Value.Kind() == slog.KindInt64 {
			list = append(list, attribute.Int64(f.Key, f.Value.Int64()))
		} else {
			list = append(list, attribute.String(f.Key, f.Value.String()))
		}
	}
	return list
}

// hidden stands for what may be a credential.
const hidden = "REDACTED"

// redacted is a query in which only the parameters of the protocol can be read. An
// application may put a credential under any name, or under none.
func redacted(query string) string {
	var b strings.Builder
	for i, pair := range strings.Split(query, "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		key, value, given := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(key); err == nil {
			key = name
		}
		switch key {
		case "offset", "live", "cursor", "limit":
			if strings.ContainsFunc(value, unusual) {
				value = hidden
			}
			b.WriteString(key + "=" + value)
		case "token":
			b.WriteString("token=" + hidden)
		case "":
			if given {
				b.WriteString(hidden)
			}
		default:
			b.WriteString(hidden)
		}
	}
	return b.String()
}

// unusual tells of what no value of the protocol's parameters holds.
func unusual(r rune) bool {
	return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}
