package cluster

import (
	"context"
	"encoding/binary"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// A traced request rides in a batch with others, over at most one hop:
//
//	append (httpapi) ──▶ batch (here) ──▶ propose (on the leader)
//	append ─ ─ link ─ ─ ─ ─▲
//
// The batch belongs to the trace of the first traced request in it and links to
// the others.

const (
	// ridersMax bounds the traced requests that a batch knows of.
	ridersMax = 32
	// traceBytesMax bounds each of the two W3C headers on the hop.
	traceBytesMax = 1024
)

// The W3C headers, as propagation calls them.
const (
	traceParent = "traceparent"
	traceState  = "tracestate"
)

// ride notes that a traced request is in the batch. The proposer's lock is held.
func (b *batch) ride(ctx context.Context) {
	if sc := trace.SpanContextFromContext(ctx); sc.IsSampled() && len(b.riders) < ridersMax {
		b.riders = append(b.riders, sc)
	}
}

// traceBatch begins the span of a batch that has traced requests.
func (n *Node) traceBatch(b *batch) {
	if n.cfg.Tracer == nil || len(b.riders) == 0 {
		return
	}
	options := []trace.SpanStartOption{
		trace.WithTimestamp(b.opened),
		trace.WithAttributes(attribute.Int("mainstem.batch.commands", b.commands), attribute.Int("mainstem.batch.bytes", len(b.envelope))),
	}
	for _, other := range b.riders[1:] {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: other}))
	}
	ctx := trace.ContextWithSpanContext(context.Background(), b.riders[0])
	_, b.span = n.cfg.Tracer.Start(ctx, "batch", options...)
}

// attempted notes how one way of a batch into the log ended.
func (b *batch) attempted(leader string, err error) {
	if b.span == nil {
		return
	}
	b.span.SetAttributes(attribute.String("mainstem.leader", leader))
	if err != nil {
		b.span.AddEvent("attempt failed", trace.WithAttributes(attribute.String("mainstem.leader", leader), attribute.String("error.message", err.Error())))
	}
}

// endSpan ends a span that there may not be.
func endSpan(span trace.Span, err error) {
	if span == nil {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// traceProposal begins the leader's span of a batch whose own span is in ctx.
func (n *Node) traceProposal(ctx context.Context) trace.Span {
	if n.cfg.Tracer == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return nil
	}
	_, span := n.cfg.Tracer.Start(ctx, "propose", trace.WithSpanKind(trace.SpanKindServer))
	return span
}

// batchCall is the method and the body with which a batch is forwarded: with its
// trace, if it has one.
func (b *batch) batchCall() (method byte, body []byte) {
	if b.span == nil {
		return methodBatch, b.envelope
	}
	return methodTraced, appendTraced(nil, trace.ContextWithSpan(context.Background(), b.span), b.envelope)
}

// appendTraced appends the W3C headers of ctx, each behind its length as a u16, and
// an envelope.
func appendTraced(to []byte, ctx context.Context, envelope []byte) []byte {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	for _, name := range [...]string{traceParent, traceState} {
		value := carrier.Get(name)
		if len(value) > traceBytesMax {
			value = "" // a trace without its vendors' notes is one still
		}
		to = binary.BigEndian.AppendUint16(to, uint16(len(value)))
		to = append(to, value...)
	}
	return append(to, envelope...)
}

var errTraced = errors.New("the trace before the batch is not well-formed")

// splitTraced undoes appendTraced. Headers that say nothing leave ctx as it is.
func splitTraced(ctx context.Context, body []byte) (context.Context, []byte, error) {
	carrier := propagation.MapCarrier{}
	for _, name := range [...]string{traceParent, traceState} {
		if len(body) < 2 {
			return ctx, nil, errTraced
		}
		size := int(binary.BigEndian.Uint16(body))
		if body = body[2:]; size > traceBytesMax || size > len(body) {
			return ctx, nil, errTraced
		}
		carrier.Set(name, string(body[:size]))
		body = body[size:]
	}
	return propagation.TraceContext{}.Extract(ctx, carrier), body, nil
}

// serveTraced is serveBatch for a batch that comes with its trace.
func (n *Node) serveTraced(ctx context.Context, body []byte) ([]byte, error) {
	ctx, envelope, err := splitTraced(ctx, body)
	if err != nil {
		return nil, &refusal{err.Error()}
	}
	span := n.traceProposal(ctx)
	answer, err := n.serveBatch(envelope)
	endSpan(span, err)
	return answer, err
}
