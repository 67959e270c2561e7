package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"mainstem/operator"
	"mainstem/stream"
)

// bodyBytesCeiling keeps an append, with its envelope, below the size that an
// entry of the replicated log may have.
const bodyBytesCeiling = 32 << 20

// Config has the knobs of the HTTP face. Zero values mean the documented
// default.
type Config struct {
	BasePath             string        // below which streams live; /v1/stream
	LongPollTimeout      time.Duration // until a long-poll is answered 204; 30 s
	SSEReconnectInterval time.Duration // life of an SSE connection, less up to a tenth; 60 s
	SSEKeepAlive         time.Duration // between comments on an SSE connection; 15 s
	SlowReaderTimeout    time.Duration // for a reader to take what was written; 30 s
	NoLeaderGrace        time.Duration // without a leader, until reads are answered without one; 2 s
	TouchInterval        time.Duration // between collected renewals of lifetimes; 1 s
	BodyBytesMax         int64         // of a request; 10 MiB, at most 32 MiB
	ChunkBytes           int           // of one read; 1 MiB
	LiveReadersMax       int           // long-polls and SSE connections at once, 429 above; 100000
	InFlightBytesMax     int64         // that requests which write hold until they are answered; 503 above; 64 MiB
	OutgoingBytesMax     int64         // read for one reader each and not yet taken by it; 503 above, and SSE connections end; 128 MiB
	ClientRequests       int           // of one client in a second; 429 above; 0 for any number
	ClientBytes          int64         // of bodies of one client in a second, both ways but for SSE; 429 above; 0 for any number
	NameBytesMax         int           // of the name of a new stream; 1024, which is the most
	NameSegmentsMax      int           // of the name of a new stream; 0 for any number
	StateOffsets         bool          // shows in events of the State Protocol where their appends end
	CORSOrigins          []string      // that browsers may call from; "*"
	Access               Access        // who may do what; nil lets everyone do everything
	PublicURL            string        // scheme and host by which clients reach the cluster; what a request used

	Subscriptions Subscriptions // none: calls under __ds are answered 404
	Webhooks      Webhooks      // needed with Subscriptions

	Damaged <-chan struct{} // closed when the local copy must not be read any more; never

	// TakeOver takes a connection from net/http, so that it costs no goroutine
	// while it waits: that of an SSE request over plain HTTP/1.1, whose header was
	// sent. wake is to be called when the connection takes more after it did not,
	// and when its client has gone; it does not wait. nil, and whatever cannot be
	// taken over, leaves SSE to net/http.
	TakeOver func(w http.ResponseWriter, wake func()) (Line, error)

	Now     func() time.Time     // time.Now
	Jitter  func(max int) int    // random from 0 to max-1; math/rand/v2
	Log     *slog.Logger         // discarded
	Tracer  trace.Tracer         // of requests, whose W3C headers are honoured; nil: none
	Metrics *prometheus.Registry // to register in, and what /metrics shows; one of its own
}

// Validate names the field that cannot be used.
func (c Config) Validate() error {
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"LongPollTimeout", c.LongPollTimeout},
		{"SSEReconnectInterval", c.SSEReconnectInterval},
		{"SSEKeepAlive", c.SSEKeepAlive},
		{"SlowReaderTimeout", c.SlowReaderTimeout},
		{"NoLeaderGrace", c.NoLeaderGrace},
		{"TouchInterval", c.TouchInterval},
	} {
		if d.value < 0 {
			return fmt.Errorf("httpapi: %s is %v; use a positive duration, or 0 for the default", d.field, d.value)
		}
	}
	switch {
	case c.BodyBytesMax < 0 || c.BodyBytesMax > bodyBytesCeiling:
		return fmt.Errorf("httpapi: BodyBytesMax is %d; use 1 to %d, or 0 for 10 MiB", c.BodyBytesMax, bodyBytesCeiling)
	case c.ChunkBytes < 0:
		return fmt.Errorf("httpapi: ChunkBytes is %d; use a positive number, or 0 for 1 MiB", c.ChunkBytes)
	case c.InFlightBytesMax < 0 || c.OutgoingBytesMax < 0:
		return fmt.Errorf("httpapi: InFlightBytesMax is %d and OutgoingBytesMax %d; use positive numbers, or 0 for 64 and 128 MiB", c.InFlightBytesMax, c.OutgoingBytesMax)
	case c.ClientRequests < 0 || c.ClientBytes < 0:
		return fmt.Errorf("httpapi: ClientRequests is %d and ClientBytes %d; use positive numbers, or 0 for no limit", c.ClientRequests, c.ClientBytes)
	case c.NameBytesMax < 0 || c.NameBytesMax > stream.NameBytesMax || c.NameSegmentsMax < 0:
		return fmt.Errorf("httpapi: NameBytesMax is %d and NameSegmentsMax %d; use 0 to %d, and a positive number or 0", c.NameBytesMax, c.NameSegmentsMax, stream.NameBytesMax)
	case c.LiveReadersMax < 0:
		return fmt.Errorf("httpapi: LiveReadersMax is %d; use a positive number, or 0 for 100000", c.LiveReadersMax)
	}
	for _, origin := range c.CORSOrigins {
		if err := validateOrigin(origin); err != nil {
			return fmt.Errorf("httpapi: CORSOrigins: %w", err)
		}
	}
	if c.BasePath == "" {
		return nil
	}
	return validateBase(c.BasePath)
}

func validateOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin {
		return fmt.Errorf("%q is not an origin; write scheme://host, or *", origin)
	}
	return nil
}

// validateBase wants a path that needs no rewriting, so that the start of a
// request's path can be compared with it as it is.
func validateBase(base string) error {
	rest, ok := strings.CutPrefix(base, "/")
	if !ok {
		return fmt.Errorf("httpapi: BasePath %q does not begin with a slash", base)
	}
	name, err := stream.ParseName(rest)
	if err != nil || string(name) != rest || strings.HasSuffix(base, "/") || strings.ContainsAny(base, ":*") {
		return fmt.Errorf("httpapi: BasePath %q is not a plain path; use something like /v1/stream", base)
	}
	for _, own := range []string{operator.LivePath, operator.ReadyPath, operator.HealthPath, operator.MetricsPath, operator.StatusPath, pathStreams} {
		if own == base || strings.HasPrefix(own, base+"/") {
			return fmt.Errorf("httpapi: BasePath %q hides %s", base, own)
		}
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.BasePath = cmp.Or(c.BasePath, "/v1/stream")
	c.LongPollTimeout = cmp.Or(c.LongPollTimeout, 30*time.Second)
	c.SSEReconnectInterval = cmp.Or(c.SSEReconnectInterval, time.Minute)
	c.SSEKeepAlive = cmp.Or(c.SSEKeepAlive, 15*time.Second)
	c.SlowReaderTimeout = cmp.Or(c.SlowReaderTimeout, 30*time.Second)
	c.NoLeaderGrace = cmp.Or(c.NoLeaderGrace, 2*time.Second)
	c.TouchInterval = cmp.Or(c.TouchInterval, time.Second)
	c.BodyBytesMax = cmp.Or(c.BodyBytesMax, 10<<20)
	c.ChunkBytes = cmp.Or(c.ChunkBytes, 1<<20)
	c.NameBytesMax = cmp.Or(c.NameBytesMax, stream.NameBytesMax)
	c.InFlightBytesMax = cmp.Or(c.InFlightBytesMax, 64<<20)
	c.OutgoingBytesMax = cmp.Or(c.OutgoingBytesMax, 128<<20)
	c.LiveReadersMax = cmp.Or(c.LiveReadersMax, 100_000)
	if len(c.CORSOrigins) == 0 {
		c.CORSOrigins = []string{"*"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Jitter == nil {
		c.Jitter = rand.IntN
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	return c
}

var errNoPorts = errors.New("httpapi: writer, fencer, reader and cluster must all be given")
