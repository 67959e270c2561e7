package httpapi

import "net/http"

// Header names in Go's canonical form, so that they index http.Header directly.
const (
	headerAllow            = "Allow"
	headerAuthorization    = "Authorization"
	headerCacheControl     = "Cache-Control"
	headerConnection       = "Connection"
	headerContentEncoding  = "Content-Encoding"
	headerContentLength    = "Content-Length"
	headerContentType      = "Content-Type"
	headerETag             = "Etag"
	headerIfMatch          = "If-Match"
	headerIfNoneMatch      = "If-None-Match"
	headerLocation         = "Location"
	headerOrigin           = "Origin"
	headerRetryAfter       = "Retry-After"
	headerVary             = "Vary"
	headerForwardedProto   = "X-Forwarded-Proto"
	headerAccelBuffering   = "X-Accel-Buffering"
	headerClosed           = "Stream-Closed"
	headerConsistency      = "Stream-Read-Consistency"
	headerCursor           = "Stream-Cursor"
	headerExpiresAt        = "Stream-Expires-At"
	headerForkedFrom       = "Stream-Forked-From"
	headerForkOffset       = "Stream-Fork-Offset"
	headerForkSubOffset    = "Stream-Fork-Sub-Offset"
	headerNextOffset       = "Stream-Next-Offset"
	headerRetentionAge     = "Stream-Retention-Age"
	headerRetentionBytes   = "Stream-Retention-Bytes"
	headerRetentionHorizon = "Stream-Retention-Horizon"
	headerSeq              = "Stream-Seq"
	headerSSEEncoding      = "Stream-Sse-Data-Encoding"
	headerServerTiming     = "Server-Timing"
	headerTiming           = "Stream-Timing"
	headerStaleness        = "Stream-Staleness"
	headerTTL              = "Stream-Ttl"
	headerUpToDate         = "Stream-Up-To-Date"
	headerProducerID       = "Producer-Id"
	headerProducerEpoch    = "Producer-Epoch"
	headerProducerSeq      = "Producer-Seq"
	headerProducerExpected = "Producer-Expected-Seq"
	headerProducerReceived = "Producer-Received-Seq"
)

// Header values that never change. They are shared by all responses, and
// nothing writes into them: an append to a full slice copies it.
var (
	valTrue        = []string{"true"}
	valNoStore     = []string{"no-store"}
	valNoCache     = []string{"no-cache"}
	valClose       = []string{"close"}
	valNo          = []string{"no"}
	valBase64      = []string{"base64"}
	valProblem     = []string{"application/problem+json"}
	valEventStream = []string{"text/event-stream"}
	valJSON        = []string{"application/json"}
	valText        = []string{"text/plain; charset=utf-8"}
	valRetryAfter  = []string{"1"}
	valBearer      = []string{`Bearer realm="mainstem"`}
	valRetryLater  = []string{"5"} // for what heals in minutes, not in moments
)

// once returns the value of a header that may come at most once and not be
// empty.
func once(h http.Header, name string) (value string, ok bool, err error) {
	values := h[name]
	switch {
	case len(values) == 0:
		return "", false, nil
	case len(values) > 1:
		return "", false, malformed(name, "is repeated", "send it once")
	case values[0] == "":
		return "", false, malformed(name, "is empty", "give it a value, or leave it out")
	}
	return values[0], true, nil
}

// optional is once for parsers that take a pointer, nil meaning absent. They
// judge an empty value themselves.
func optional(h http.Header, name string) (*string, error) {
	values := h[name]
	switch len(values) {
	case 0:
		return nil, nil
	case 1:
		return &values[0], nil
	}
	return nil, malformed(name, "is repeated", "send it once")
}
