package embed

import (
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/httpapi"
)

// What an embedded node takes of memory for data.
const (
	cacheBytes    = 16 << 20
	memTableBytes = 8 << 20
)

// Config says where streams are kept and how they are served. The zero value
// keeps them in memory and serves them below /v1/stream.
type Config struct {
	// Dir is the directory for all that the node keeps, of which it is the only
	// user; made when absent. "" keeps everything in memory, until Close.
	Dir string
	// HTTP has the path below which streams are served, the limits, the timeouts,
	// and who may do what. Its Log and Metrics are those below when it has none.
	HTTP httpapi.Config
	// Fatal is told when the disk fails in a way after which nothing may be
	// written. It must not return; nil: panic.
	Fatal   func(error)
	Log     *slog.Logger         // discarded
	Metrics *prometheus.Registry // to register in; one of its own
}

// Validate names the field that cannot be used.
func (c Config) Validate() error {
	if c.HTTP.Subscriptions != nil || c.HTTP.Webhooks != nil || c.HTTP.Damaged != nil {
		return errors.New("embed: HTTP.Subscriptions, Webhooks and Damaged are for the command; leave them out")
	}
	return c.HTTP.Validate()
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Fatal == nil {
		c.Fatal = func(err error) { panic(err) }
	}
	if c.HTTP.Log == nil {
		c.HTTP.Log = c.Log
	}
	if c.HTTP.Metrics == nil {
		c.HTTP.Metrics = c.Metrics
	}
	return c
}
