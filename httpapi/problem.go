package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"mainstem/operator"
	"mainstem/stream"
	"mainstem/subs"
)

// problem is an answer of this package that is no stream.Rejection.
type problem struct {
	answer
	detail string
	cause  error         // what to log; nil for none
	wait   time.Duration // before it is worth to try again; 0 for what the status says
}

func (p *problem) Error() string { return p.detail }
func (p *problem) Unwrap() error { return p.cause }

// problemBody is application/problem+json (RFC 9457), with the code that client
// libraries match on and the finer reason.
type problemBody struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Code     string `json:"code"`
	Reason   string `json:"reason"`
	Detail   string `json:"detail"`
	Instance string `json:"instance"`
	// Error is the specification's own, for calls about subscriptions (§7).
	Error *refusalBody `json:"error,omitempty"`
}

// Problems that need no further words.
var (
	errNoRoute     = &problem{answer: answer{http.StatusNotFound, codeNotFound, "NO_ROUTE"}, detail: "nothing is served at this path; streams live below the base path"}
	errReserved    = &problem{answer: answer{http.StatusNotFound, codeNotFound, "RESERVED"}, detail: "__ds is reserved for subscriptions; no stream can be there"}
	errNoControl   = &problem{answer: answer{http.StatusNotFound, codeNotFound, "NO_ROUTE"}, detail: "nothing is served at this path; calls about subscriptions are at __ds/subscriptions/ID and below it, and the keys at __ds/jwks.json"}
	errMethod      = &problem{answer: answer{http.StatusMethodNotAllowed, codeBadRequest, "METHOD_NOT_ALLOWED"}, detail: "this path does not take this method; the Allow header lists those it takes"}
	errTooLarge    = &problem{answer: answer{http.StatusRequestEntityTooLarge, codeTooLarge, "BODY_TOO_LARGE"}, detail: "the body is larger than this server takes; send it in several appends"}
	errBodyRead    = &problem{answer: answer{http.StatusBadRequest, codeBadRequest, "BODY_INCOMPLETE"}, detail: "the body ended before it was complete; nothing was written"}
	errBodySlow    = &problem{answer: answer{http.StatusRequestTimeout, codeBadRequest, "BODY_TIMEOUT"}, detail: "the body came too slowly; nothing was written"}
	errEncoding    = &problem{answer: answer{http.StatusUnsupportedMediaType, codeBadRequest, "CONTENT_ENCODING"}, detail: "the body has a Content-Encoding, which this server does not decode; send it plain"}
	errBusy        = &problem{answer: answer{http.StatusServiceUnavailable, codeUnavailable, "TOO_MUCH_IN_FLIGHT"}, detail: "this node is busy with as many bytes of other requests as it takes at once; nothing was written, try again shortly, or another node"}
	errReadersBusy = &problem{answer: answer{http.StatusServiceUnavailable, codeUnavailable, "TOO_MUCH_OUTGOING"}, detail: "this node has as much on its way to slow readers as it holds at once; try again shortly, or another node"}
	errCrowded     = &problem{answer: answer{http.StatusTooManyRequests, codeRateLimited, "TOO_MANY_LIVE_READERS"}, detail: "this node has as many live readers as it takes; try again, or another node"}
)

// tooFast is for a client that has used up what it may ask for in a second.
func tooFast(reason, of string, wait time.Duration) error {
	return &problem{answer: answer{http.StatusTooManyRequests, codeRateLimited, reason}, wait: wait,
		detail: "this client asks for more " + of + " a second than this server gives one client; nothing was read or written, wait as Retry-After says"}
}

// malformed is a 400 for what a client wrote.
func malformed(what, why, mend string) error {
	return &stream.Rejection{Code: stream.Malformed, Detail: what + " " + why + "; " + mend}
}

// outcomeUnknown is what errors are asked; see the package comment.
type outcomeUnknown interface{ OutcomeUnknown() bool }

// insufficientStorage is what errors are asked; see the package comment.
type insufficientStorage interface{ InsufficientStorage() bool }

// upgradeUnfinished is what errors are asked; see the package comment.
type upgradeUnfinished interface{ UpgradeUnfinished() bool }

// notWritten turns an error of the Writer into an answer.
func notWritten(err error) error {
	var unknown outcomeUnknown
	if errors.As(err, &unknown) && unknown.OutcomeUnknown() {
		return &problem{answer: answer{http.StatusServiceUnavailable, codeUnavailable, reasonUnknown}, cause: err,
			detail: "outcome unknown: the request was sent to the log, and whether it was carried out could not be learnt; read before you repeat it, or use producer headers, which make repeating safe"}
	}
	var full insufficientStorage
	if errors.As(err, &full) && full.InsufficientStorage() {
		return &problem{answer: answer{http.StatusInsufficientStorage, codeUnavailable, "INSUFFICIENT_STORAGE"}, cause: err,
			detail: "a node of the cluster has no disk space left for new data; nothing was written; reads and deletes go on, and writes do when space has been freed: " + operator.StatusPath + " tells where it is missing"}
	}
	var mixed upgradeUnfinished
	if errors.As(err, &mixed) && mixed.UpgradeUnfinished() {
		return &problem{answer: answer{http.StatusServiceUnavailable, codeUnavailable, "UPGRADE_UNFINISHED"}, cause: err,
			detail: "a node of the cluster runs a version that does not know this yet; nothing was written; try again when all nodes have been upgraded: " + operator.StatusPath + " tells the level of each"}
	}
	return &problem{answer: answer{http.StatusServiceUnavailable, codeUnavailable, "NOT_WRITTEN"}, cause: err,
		detail: "the cluster cannot write at the moment; nothing was written, try again"}
}

// notCurrent is the answer of a node that cannot learn what is current.
func notCurrent(err error) error {
	return &problem{answer: answer{http.StatusServiceUnavailable, codeUnavailable, "NO_LEADER"}, cause: err,
		detail: "no leader answers, so this node cannot tell what is current; try again, or read what it holds with Stream-Read-Consistency: local"}
}

// unrouted turns echo's errors into ours.
func unrouted(err error) error {
	var he *echo.HTTPError
	if errors.As(err, &he) && he.Code == http.StatusMethodNotAllowed {
		return errMethod
	}
	return errNoRoute
}

// fail answers a request that was not carried out. It is the only place where
// an error becomes a status, and where it is logged. It answers a client that
// seems to have left too: a handler that returns without an answer says 200.
func (s *Server) fail(c echo.Context, err error) {
	r, res := c.Request(), c.Response()
	if res.Committed {
		s.log.Error("answer broken off", "operation", r.Method, "err", err)
		return
	}
	if refused, ok := asRefusal(err); ok {
		s.writeRefusal(c, refused)
		return
	}
	var no *stream.Rejection
	var p *problem
	var refused *subs.Refusal
	switch {
	case errors.As(err, &refused):
		s.refuse(c, refused)
	case errors.As(err, &no):
		addRejectionHeaders(res.Header(), no)
		s.writeProblem(c, answerOf(no.Code), no.Error())
	case errors.As(err, &p):
		if p.cause != nil {
			s.log.Debug("request not served", "reason", p.reason, "err", p.cause)
		}
		if p.wait > 0 {
			res.Header()[headerRetryAfter] = []string{strconv.Itoa(int(math.Ceil(p.wait.Seconds())))}
		}
		s.writeProblem(c, p.answer, p.detail)
	case r.Context().Err() != nil:
		s.writeProblem(c, answer{http.StatusServiceUnavailable, codeUnavailable, "CANCELLED"}, "the request ended before it was served")
	default:
		s.log.Error("request failed", "method", r.Method, "path", r.URL.EscapedPath(), "err", err)
		s.writeProblem(c, answer{http.StatusInternalServerError, codeInternal, "INTERNAL"}, "this node could not serve the request; its log says why")
	}
}

func (s *Server) writeProblem(c echo.Context, a answer, detail string) {
	s.writeProblemWith(c, a, detail, nil)
}

func (s *Server) writeProblemWith(c echo.Context, a answer, detail string, refused *refusalBody) {
	accountOf(c).refused(a)
	body, err := json.Marshal(problemBody{
		Type: "about:blank", Title: http.StatusText(a.status), Status: a.status,
		Code: a.code, Reason: a.reason, Detail: detail, Instance: c.Request().URL.EscapedPath(), Error: refused,
	})
	if err != nil { // strings and a number always encode
		panic(err)
	}
	h := c.Response().Header()
	h[headerContentType] = valProblem
	h[headerCacheControl] = valNoStore
	delete(h, headerETag)
	if len(h[headerRetryAfter]) == 0 {
		switch a.status {
		case http.StatusServiceUnavailable, http.StatusTooManyRequests:
			h[headerRetryAfter] = valRetryAfter
		case http.StatusInsufficientStorage:
			h[headerRetryAfter] = valRetryLater
		}
	}
	s.metrics.refused.WithLabelValues(a.reason).Inc()
	h[headerContentLength] = []string{strconv.Itoa(len(body))}
	c.Response().WriteHeader(a.status)
	_, _ = c.Response().Write(body) // a client that has left needs no answer
}

func addRejectionHeaders(h http.Header, no *stream.Rejection) {
	switch no.Code {
	case stream.Closed:
		h[headerClosed] = valTrue
		h[headerNextOffset] = []string{no.Next.String()}
	case stream.TailMoved:
		h[headerNextOffset] = []string{no.Next.String()}
	case stream.Trimmed:
		h[headerRetentionHorizon] = []string{no.Next.String()}
	case stream.ProducerFenced:
		h[headerProducerEpoch] = []string{strconv.FormatUint(no.Epoch, 10)}
	case stream.ProducerGap:
		h[headerProducerExpected] = []string{strconv.FormatUint(no.Expected, 10)}
		h[headerProducerReceived] = []string{strconv.FormatUint(no.Received, 10)}
	}
}

// answerPanic ends a request whose handler panicked: 500 if nothing was sent
// yet, else a broken connection, so that no client takes half an answer for a
// whole one.
func (s *Server) answerPanic(c echo.Context, p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.log.Error("handler panicked", "method", c.Request().Method, "path", c.Request().URL.EscapedPath(), "panic", p, "stack", string(debug.Stack()))
	if c.Response().Committed {
		panic(http.ErrAbortHandler)
	}
	s.writeProblem(c, answer{http.StatusInternalServerError, codeInternal, "INTERNAL"}, "this node could not serve the request; its log says why")
}

// submit puts a command into the log and returns what it decided.
func (s *Server) submit(ctx context.Context, c stream.Command) (stream.Outcome, error) {
	return decided(s.writer.Submit(ctx, c))
}

// decided turns what the Writer returned into an outcome, or the reason why not.
func decided(result stream.Result, err error) (stream.Outcome, error) {
	switch no := result.Rejection; {
	case err != nil:
		return stream.Outcome{}, notWritten(err)
	case no != nil && no.Code == stream.OutcomeUnknown:
		return stream.Outcome{}, &problem{answer: answerOf(no.Code), detail: no.Error()} // no word of the protocol's
	case no != nil:
		return stream.Outcome{}, no
	}
	return result.Outcome, nil
}
