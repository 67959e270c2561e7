package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"mainstem/auth"
	"mainstem/stream"
	"mainstem/subs"
)

// Subscriptions is what the local copy, which may be behind, knows of them.
type Subscriptions interface {
	Subscription(id subs.ID) (*subs.Subscription, bool)
	EachSubscription(fn func(*subs.Subscription) bool)
	// Links returns all links, or, if there are more than limit, pending ones only.
	Links(number uint64, limit int) ([]subs.LinkInfo, error)
}

// Webhooks is what deliveries, claims and their tokens need beside the rules.
type Webhooks interface {
	CheckURL(raw string) *subs.Refusal
	NewWakeID() string
	// CanMint returns why no token can be made here, nil when one can.
	CanMint(ctx context.Context) error
	// Mint makes the bearer token of one wake.
	Mint(ctx context.Context, number, generation uint64) (token string, err error)
	// Verify returns the generation that a token was made for. A *subs.Refusal
	// says that it is none of this subscription's.
	Verify(ctx context.Context, token string, number uint64) (generation uint64, err error)
	// JWKS returns the public keys (§6.5), and ActiveKid the one that signs now.
	JWKS(ctx context.Context) (body []byte, err error)
	ActiveKid(ctx context.Context) (kid string, err error)
}

const (
	controlBytesMax = 1 << 20 // of the body of a call about subscriptions
	wakeStreamsMax  = 1000    // in the answer to a claim; above it the pending ones only
	shownStreamsMax = 10_000  // of one subscription; above it the pending ones only
)

// controlPath is the reserved prefix, below the stream root (§6).
const controlPath = "__ds"

// routeControl registers the paths under the reserved prefix. Keys are for
// everyone; whoever acts on a wake shows the token of that wake, which is no
// credential of a caller's and is judged by its own rules; a worker may claim
// what it may read the wake stream of; all else configures: see controls.
func (s *Server) routeControl() {
	e, one := s.echo, s.base+controlPath+"/subscriptions/:id/"
	e.GET(s.base+controlPath+"/jwks.json", s.serve(opControl, everyone, s.controlOf("jwks.json")))
	for _, action := range []string{"callback", "ack", "release"} {
		e.POST(one+action, s.serve(opControl, everyone, s.controlOf(action)))
	}
	e.POST(one+"claim", s.serve(opControl, claims, s.controlOf("claim")))
	rest := s.base + controlPath + "/*"
	for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodGet, http.MethodHead, http.MethodDelete} {
		e.Add(method, rest, s.serve(opControl, controls, s.control))
	}
	e.OPTIONS(rest, s.serve(opPreflight, everyone, s.preflight))
}

// controlOf answers one action alone: what was let in for it must be it.
func (s *Server) controlOf(action string) handler {
	return func(c echo.Context) (operation, error) {
		if !strings.HasSuffix(c.Request().URL.EscapedPath(), "/"+action) {
			return opControl, errNoControl
		}
		return s.control(c)
	}
}

// claims asks to read the wake stream of the subscription, or to administer one
// that has none.
func claims(s *Server, k *call) ([]need, error) {
	r := k.Request()
	path, _ := strings.CutPrefix(r.URL.EscapedPath(), s.base+controlPath+"/subscriptions/")
	id, err := url.PathUnescape(strings.TrimSuffix(path, "/claim"))
	if err != nil || s.cfg.Subscriptions == nil {
		return administration(s, k)
	}
	sub, err := s.find(r.Context(), subs.ID(id))
	var no *subs.Refusal
	switch {
	case errors.As(err, &no), err == nil && sub.Config.WakeStream == "":
		return administration(s, k)
	case err != nil:
		return nil, err
	}
	return []need{{action: auth.Read, name: sub.Config.WakeStream}}, nil
}

// control answers all calls under the reserved prefix.
func (s *Server) control(c echo.Context) (operation, error) {
	if s.cfg.Subscriptions == nil || s.cfg.Webhooks == nil {
		return opControl, errReserved
	}
	path := s.controlPathOf(c.Request())
	if path == "jwks.json" {
		return opControl, s.only(c, http.MethodGet, s.showKeys)
	}
	if path == "subscriptions" {
		return opControl, s.only(c, http.MethodGet, s.listSubscriptions)
	}
	id, action, err := controlled(path)
	if err != nil {
		return opControl, err
	}
	return opControl, s.controlOne(c, id, action)
}

// controlPathOf is what follows the reserved prefix.
func (s *Server) controlPathOf(r *http.Request) string {
	return strings.TrimPrefix(r.URL.EscapedPath(), s.base+controlPath+"/")
}

// controlled returns which subscription a path is about, and what it says of it.
func controlled(path string) (id subs.ID, action string, err error) {
	rest, ok := strings.CutPrefix(path, "subscriptions/")
	if !ok {
		return "", "", errNoControl
	}
	escaped, action, _ := strings.Cut(rest, "/")
	text, err := url.PathUnescape(escaped)
	if err != nil {
		return "", "", &subs.Refusal{Code: subs.InvalidRequest, Detail: "the subscription id has a malformed escape; write a percent sign as %25"}
	}
	id, no := subs.ParseID(text)
	if no != nil {
		return "", "", no
	}
	return id, action, nil
}

// controlOne answers calls about one subscription.
func (s *Server) controlOne(c echo.Context, id subs.ID, action string) error {
	post := func(h func(echo.Context, subs.ID) error) error {
		return s.only(c, http.MethodPost, func(c echo.Context) error { return h(c, id) })
	}
	switch action {
	case "":
		switch c.Request().Method {
		case http.MethodPut:
			return s.createSubscription(c, id)
		case http.MethodGet:
			return s.showSubscription(c, id)
		case http.MethodDelete:
			return s.deleteSubscription(c, id)
		}
		return notThis(c, "GET, PUT, DELETE")
	case "streams":
		return post(s.addStreams)
	case "callback":
		return post(s.callback)
	case "claim":
		return post(s.claim)
	case "ack":
		return post(s.ack)
	case "release":
		return post(s.release)
	}
	if path, ok := strings.CutPrefix(action, "streams/"); ok && path != "" {
		return s.only(c, http.MethodDelete, func(c echo.Context) error { return s.removeStream(c, id, path) })
	}
	return errNoControl
}

func (s *Server) only(c echo.Context, method string, h func(echo.Context) error) error {
	if c.Request().Method != method {
		return notThis(c, method)
	}
	return h(c)
}

func notThis(c echo.Context, allowed string) error {
	c.Response().Header()[headerAllow] = []string{allowed}
	return errMethod
}

// decide puts a command about subscriptions into the log and returns what it
// decided.
func (s *Server) decide(ctx context.Context, cmd subs.Command) (subs.Outcome, error) {
	out, err := s.submit(ctx, subs.Wrap(cmd))
	if err != nil {
		return subs.Outcome{}, err
	}
	result, no, err := subs.Read(stream.Result{Outcome: out})
	if err == nil && no != nil {
		err = no
	}
	return result, err
}

// find returns a subscription as it is now.
func (s *Server) find(ctx context.Context, id subs.ID) (*subs.Subscription, error) {
	if err := s.catchUp(ctx); err != nil {
		return nil, err
	}
	sub, ok := s.cfg.Subscriptions.Subscription(id)
	if !ok {
		return nil, &subs.Refusal{Code: subs.SubscriptionNotFound}
	}
	return sub, nil
}

// catchUp waits until the copy holds what was committed before the call.
func (s *Server) catchUp(ctx context.Context) error {
	v := vantage{server: s}
	if err := v.fence(ctx); err != nil {
		return notCurrent(err)
	}
	return nil
}

// bearer returns the token of the Authorization header, the only place where
// one is looked for.
func bearer(h http.Header) (string, error) {
	value, _, err := once(h, headerAuthorization)
	if err != nil {
		return "", err
	}
	scheme, token, ok := strings.Cut(value, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", &subs.Refusal{Code: subs.TokenInvalid,
			Detail: "there is no bearer token; send Authorization: Bearer with the token that came with the wake or the claim"}
	}
	return strings.TrimSpace(token), nil
}

// verify checks who calls: the generation is judged by the log.
func (s *Server) verify(r *http.Request, sub *subs.Subscription) (generation uint64, err error) {
	token, err := bearer(r.Header)
	if err != nil {
		return 0, err
	}
	generation, err = s.cfg.Webhooks.Verify(r.Context(), token, sub.Number)
	return generation, keysUnavailable(err)
}

// keysUnavailable is the answer of a node that cannot sign or verify now.
func keysUnavailable(err error) error {
	var no *subs.Refusal
	var p *problem
	if err == nil || errors.As(err, &no) || errors.As(err, &p) {
		return err
	}
	return &problem{answer: answer{http.StatusServiceUnavailable, codeUnavailable, "SIGNING_KEYS"}, detail: "the signing keys cannot be used at the moment: " + err.Error(), cause: err}
}

// refusals is the one table from the words of subscriptions to HTTP's numbers.
var refusals = map[subs.Code]answer{
	subs.InvalidRequest:            {status: http.StatusBadRequest, code: codeBadRequest},
	subs.SubscriptionNotFound:      {status: http.StatusNotFound, code: codeNotFound},
	subs.SubscriptionAlreadyExists: {status: http.StatusConflict, code: codeConflict},
	subs.WebhookURLRejected:        {status: http.StatusBadRequest, code: codeBadRequest},
	subs.TokenInvalid:              {status: http.StatusUnauthorized, code: codeUnauthorized},
	subs.TokenExpired:              {status: http.StatusUnauthorized, code: codeUnauthorized},
	subs.Fenced:                    {status: http.StatusConflict, code: codeConflict},
	subs.AlreadyClaimed:            {status: http.StatusConflict, code: codeConflict},
	subs.NoPendingWork:             {status: http.StatusConflict, code: codeConflict},
	subs.InvalidOffset:             {status: http.StatusConflict, code: codeConflict},
}

// refusalBody is the specification's member of an error body.
type refusalBody struct {
	Code       string `json:"code"`
	Message    string `json:"message"`
	Holder     string `json:"current_holder,omitempty"`
	Generation uint64 `json:"generation,omitempty"`
}

// refuse answers with a problem that has the specification's error in it.
func (s *Server) refuse(c echo.Context, no *subs.Refusal) {
	a, known := refusals[no.Code]
	if !known { // only a newer node knows it
		a = answer{status: http.StatusConflict, code: codeConflict}
	}
	a.reason = no.Code.String()
	if a.status == http.StatusUnauthorized {
		c.Response().Header()["Www-Authenticate"] = valBearer
	}
	s.writeProblemWith(c, a, no.Error(), &refusalBody{Code: a.reason, Message: no.Error(), Holder: no.Holder, Generation: no.Generation})
}
