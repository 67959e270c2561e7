package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"mainstem/operator"
	"mainstem/stream"
)

// Server is the HTTP face of one node: an http.Handler that may be mounted
// under any prefix with http.StripPrefix.
type Server struct {
	cfg     Config
	writer  Writer
	fencer  Fencer
	reader  Reader
	cluster Cluster
	log     *slog.Logger

	echo     *echo.Echo
	base     string // cfg.BasePath and a slash
	metrics  *metrics
	origins  origins
	renewals *renewals
	relay    *relay
	buffers  sync.Pool    // of *[]byte, for events
	bodies   sync.Pool    // of *bodyBuffer
	calls    sync.Pool    // of *call
	incoming load         // of requests that write, and their bodies
	outgoing load         // of answers on their way to their readers
	throttle *throttle    // nil for none
	live     atomic.Int64 // long-polls and SSE connections that wait

	unlisted atomic.Bool     // by Unlist
	draining context.Context // ends with Drain
	drain    context.CancelFunc
	drained  atomic.Int64 // by when live readers have ended, in Unix nanoseconds; set before draining ends
}

// New returns a server that is not yet listening anywhere: it is a handler. Run
// must run beside it.
func New(cfg Config, w Writer, f Fencer, r Reader, c Cluster) (*Server, error) {
	if w == nil || f == nil || r == nil || c == nil {
		return nil, errNoPorts
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Server{
		cfg: cfg, writer: w, fencer: f, reader: soundReader{r, cfg.Damaged}, cluster: c,
		log:      cfg.Log,
		echo:     echo.New(),
		base:     cfg.BasePath + "/",
		metrics:  newMetrics(cfg.Metrics),
		origins:  newOrigins(cfg.CORSOrigins),
		renewals: newRenewals(),
	}
	s.buffers.New = newBuffer
	s.bodies.New = func() any { return new(bodyBuffer) }
	s.calls.New = func() any { return new(call) }
	s.draining, s.drain = context.WithCancel(context.Background())
	s.relay = newRelay(s)
	s.incoming.max, s.outgoing.max = cfg.InFlightBytesMax, cfg.OutgoingBytesMax
	var err error
	if s.throttle, err = newThrottle(cfg); err != nil {
		return nil, err
	}
	cfg.Metrics.MustRegister(
		s.incoming.gauge("mainstem_in_flight_bytes", "What requests that write hold until they are answered."),
		s.outgoing.gauge("mainstem_outgoing_bytes", "What was read from the copy for one reader each and not yet taken by it."))
	s.route()
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// Run renews, until ctx ends, the lifetimes of streams that were read. Without
// it only reads late in a stream's life renew. It ends live readers when the copy
// is found damaged.
func (s *Server) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	watching.Go(func() { s.sendAwayWhenDamaged(ctx) })
	defer watching.Wait()
	return s.renewLoop(ctx)
}

// Unlist makes readiness fail, so that no new clients are sent here. Everything
// else is served as before.
func (s *Server) Unlist() { s.unlisted.Store(true) }

// Close waits until the SSE connections that were taken over from net/http have
// ended, as draining makes them, and cuts those that are left when ctx ends. What
// comes later is left to net/http. It is called after DrainWithin, beside the
// http.Server's Shutdown, which does not know of them.
func (s *Server) Close(ctx context.Context) error { return s.relay.close(ctx) }

// Drain is DrainWithin at once.
func (s *Server) Drain() { s.DrainWithin(0) }

// DrainWithin makes ready for the end: readiness fails, clients are asked to take
// their connections elsewhere, long-polls are answered and SSE connections end
// after their current event, at moments spread over the given time so that they
// do not all come to another node at once. Requests are served as before; to
// wait for those in flight is for the http.Server. It returns at once, and only
// the first call counts.
func (s *Server) DrainWithin(spread time.Duration) {
	if s.drained.CompareAndSwap(0, time.Now().Add(spread).UnixNano()) {
		s.drain()
	}
}

// partingPause is how long one live reader goes on once draining has begun.
func (s *Server) partingPause() time.Duration {
	left := time.Until(time.Unix(0, s.drained.Load()))
	return time.Duration(s.cfg.Jitter(max(1, int(left))))
}

func (s *Server) isDraining() bool { return s.draining.Err() != nil }

// route registers every path. Streams are matched on the path as it was sent:
// nothing is cleaned, unescaped or redirected.
func (s *Server) route() {
	e := s.echo
	streams := s.base + "*"
	e.PUT(streams, s.serve(opCreate, createsStream, s.create))
	e.POST(streams, s.serve(opAppend, appendsToStream, s.append))
	e.GET(streams, s.serve(opRead, readsStream, s.read))
	e.HEAD(streams, s.serve(opHead, readsStream, s.head))
	e.DELETE(streams, s.serve(opDelete, deletesStream, s.delete))
	e.PATCH(streams, s.serve(opTrim, deletesStream, s.trim))
	e.OPTIONS(streams, s.serve(opPreflight, everyone, s.preflight))
	s.routeControl()
	get := func(path string, op operation, asks needs, h handler) {
		e.GET(path, s.serve(op, asks, h))
		e.HEAD(path, s.serve(op, asks, h))
		e.OPTIONS(path, s.serve(opPreflight, everyone, s.preflight))
	}
	get(operator.LivePath, opHealth, everyone, s.alive)
	get(operator.StartPath, opHealth, everyone, s.alive)
	get(operator.HealthPath, opHealth, everyone, s.healthy)
	get(operator.ReadyPath, opHealth, everyone, s.ready)
	get(operator.MetricsPath, opMetrics, everyone, s.showMetrics)
	get(operator.StatusPath, opStatus, administration, s.status)
	get(pathStreams, opList, listsStreams, s.list)
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		_ = s.serve(opOther, everyone, func(echo.Context) (operation, error) { return opOther, unrouted(err) })(c) // serve answers every error itself
	}
}

// handler answers one request, or returns the reason why not. The operation is
// the one to count it as.
type handler func(echo.Context) (operation, error)

// serve wraps a handler with what all have in common.
func (s *Server) serve(op operation, asks needs, h handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		counted, begin := op, time.Now()
		told := s.open(c, op)
		defer func() { s.finish(c, counted, begin, recover(), told) }()
		s.stamp(c)
		k := s.calls.Get().(*call)
		k.Context, k.server, k.operation = c, s, op
		defer k.putDown()
		var err error
		if counted, err = s.carry(k, asks, h); err != nil {
			s.fail(c, err)
		}
		return nil
	}
}

// carry brings a request to its handler, if it comes there.
func (s *Server) carry(k *call, asks needs, h handler) (operation, error) {
	if err := s.identify(k, asks); err != nil {
		return k.operation, err
	}
	if err := s.admit(k); err != nil {
		return k.operation, err
	}
	if err := s.permit(k, asks); err != nil {
		return k.operation, err
	}
	return h(k)
}

// admit refuses a request that is one too many, before its body is read.
func (s *Server) admit(k *call) error {
	if err := s.throttle.admit(k); err != nil {
		return err
	}
	if k.operation.writes() {
		return k.holdIncoming(requestCost)
	}
	return nil
}

// parseName reads the stream that a request is about; see nameOf.
func (s *Server) parseName(r *http.Request) (stream.Name, error) {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), s.base)
	if !ok {
		return "", errNoRoute
	}
	name, err := stream.ParseName(rest)
	if err != nil {
		return "", err
	}
	if reserved(name) {
		return "", errReserved
	}
	return name, nil
}

// reserved reports the names that belong to the subscription API (§6).
func reserved(name stream.Name) bool {
	return name == controlPath || strings.HasPrefix(string(name), controlPath+"/")
}
