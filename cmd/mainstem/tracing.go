package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	// flushTime bounds the wait for the last spans to be taken when a node stops.
	flushTime = 2 * time.Second
	// exportComplaints is how often the log may say that spans cannot be sent.
	exportComplaints = time.Minute
)

// startTracing makes what spans are given to, where the settings ask for it.
// Spans that the receiver does not take are dropped: a batch of them waits in a
// bounded queue, never a request.
func (n *node) startTracing() error {
	cfg := n.cfg.Log
	if cfg.OTLPEndpoint == "" {
		return nil
	}
	client, err := newOTLPClient(cfg.OTLPEndpoint, cfg.OTLPHeaders)
	if err != nil {
		return fmt.Errorf("observability.otlp_endpoint (--otlp-endpoint) %s: %w", cfg.OTLPEndpoint, err)
	}
	exporter := otlptrace.NewUnstarted(client)
	complain := complainer{log: n.log}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(complain.handle)) // there is no other way to hear of them
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.TraceShare))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "mainstem"),
			attribute.String("service.version", buildVersion()),
			attribute.String("service.instance.id", n.cfg.Cluster.NodeID),
		)),
	)
	n.opened.push("traces", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), flushTime)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			n.log.Warn("the last spans were not sent", "err", err)
		}
		return nil
	})
	n.tracer = provider.Tracer("mainstem")
	n.log.Info("traces are sent", "to", cfg.OTLPEndpoint, "share", cfg.TraceShare)
	return nil
}

// complainer says now and then that spans cannot be sent.
type complainer struct {
	log *slog.Logger

	mu   sync.Mutex // guards last
	last time.Time
}

func (c *complainer) handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	level := slog.LevelDebug
	if now := time.Now(); now.Sub(c.last) >= exportComplaints {
		c.last, level = now, slog.LevelWarn
	}
	c.log.Log(context.Background(), level, "spans were not sent", "err", err)
}
