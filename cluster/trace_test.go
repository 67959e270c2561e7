package cluster

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func spanContext(state string) trace.SpanContext {
	s, err := trace.ParseTraceState(state)
	if err != nil {
		panic(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5}, TraceFlags: trace.FlagsSampled, TraceState: s,
	})
}

func TestATraceGoesOverTheHopWithItsBatch(t *testing.T) {
	envelope := []byte("the envelope")
	for name, state := range map[string]string{"plain": "", "with a vendor's state": "a=1,b=2"} {
		t.Run(name, func(t *testing.T) {
			sc := spanContext(state)
			body := appendTraced(nil, trace.ContextWithSpanContext(t.Context(), sc), envelope)
			ctx, got, err := splitTraced(t.Context(), body)
			if err != nil || !bytes.Equal(got, envelope) {
				t.Fatalf("got %q, %v", got, err)
			}
			if there := trace.SpanContextFromContext(ctx); !there.Equal(sc.WithRemote(true)) {
				t.Fatalf("got %+v, want %+v", there, sc)
			}
			for short := range len(body) - len(envelope) {
				if _, _, err := splitTraced(t.Context(), body[:short]); err == nil {
					t.Fatalf("%d bytes of %d were taken", short, len(body))
				}
			}
		})
	}
	if _, _, err := splitTraced(t.Context(), append([]byte{0xff, 0xff}, make([]byte, 1<<16)...)); err == nil {
		t.Fatal("a header of 64 KiB was taken")
	}
	ctx, got, err := splitTraced(t.Context(), append([]byte("\x00\x03abc\x00\x00"), envelope...))
	if err != nil || !bytes.Equal(got, envelope) || trace.SpanContextFromContext(ctx).IsValid() {
		t.Fatalf("a batch with a header that says nothing: %q, %v", got, err)
	}
}

func FuzzSplitTraced(f *testing.F) {
	f.Add(appendTraced(nil, trace.ContextWithSpanContext(context.Background(), spanContext("a=1")), []byte("x")))
	f.Add([]byte{0, 1})
	f.Fuzz(func(t *testing.T, body []byte) {
		_, envelope, err := splitTraced(t.Context(), body)
		if err == nil && !bytes.HasSuffix(body, envelope) {
			t.Fatalf("%q is not the end of %q", envelope, body)
		}
	})
}

func TestABatchKnowsABoundedNumberOfItsTracedRequests(t *testing.T) {
	b := newBatch(0)
	b.ride(t.Context()) // not traced
	sampled := trace.ContextWithSpanContext(t.Context(), spanContext(""))
	for range 2 * ridersMax {
		b.ride(sampled)
	}
	if len(b.riders) != ridersMax {
		t.Fatalf("got %d, want %d", len(b.riders), ridersMax)
	}
	if method, body := b.batchCall(); method != methodBatch || !bytes.Equal(body, b.envelope) {
		t.Fatalf("without a span of its own it is sent by method %d", method)
	}
	if strings.Contains(string(b.envelope), "traceparent") {
		t.Fatal("the envelope is for the log and holds no trace")
	}
}
