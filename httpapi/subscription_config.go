package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
	"mainstem/subs"
)

// subscriptionRequest is the body of a PUT (§6.2). Members that are not known
// are passed over, as the reference server does.
type subscriptionRequest struct {
	Type    string   `json:"type"`
	Pattern string   `json:"pattern"`
	Streams []string `json:"streams"`
	Webhook *struct {
		URL string `json:"url"`
	} `json:"webhook"`
	WakeStream  string `json:"wake_stream"`
	LeaseTTL    *int64 `json:"lease_ttl_ms"`
	Description string `json:"description"`
}

// subscriptionBody is §6.3. What a subscription does not have is null.
type subscriptionBody struct {
	ID             subs.ID      `json:"id"`
	SubscriptionID subs.ID      `json:"subscription_id"`
	Type           string       `json:"type"`
	Pattern        *string      `json:"pattern"`
	Streams        []linkBody   `json:"streams"`
	Webhook        *webhookBody `json:"webhook"`
	WakeStream     *stream.Name `json:"wake_stream"`
	LeaseTTL       int64        `json:"lease_ttl_ms"`
	CreatedAt      string       `json:"created_at"`
	Status         string       `json:"status"`
	Description    *string      `json:"description"`
}

type linkBody struct {
	Path        stream.Name `json:"path"`
	LinkType    string      `json:"link_type"`
	AckedOffset string      `json:"acked_offset"`
}

type webhookBody struct {
	URL     string      `json:"url"`
	Signing signingBody `json:"signing"`
}

type signingBody struct {
	Alg     string `json:"alg"`
	Kid     string `json:"kid"`
	JWKSURL string `json:"jwks_url"`
}

// createSubscription answers PUT: §6.2. Existing streams are linked before the
// answer, a bounded number in each step.
func (s *Server) createSubscription(c echo.Context, id subs.ID) error {
	config, err := s.configOf(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	out, err := s.decide(ctx, subs.Create{ID: id, Config: *config, Base: s.publicBase(c.Request())})
	if err != nil {
		return err
	}
	for created := out; created.More; {
		if created, err = s.decide(ctx, subs.Step{Number: out.Number}); err != nil {
			return err
		}
	}
	sub, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if out.Created {
		status = http.StatusCreated
	}
	return s.writeSubscription(c, status, sub)
}

// configOf returns the configuration that a request brings.
func (s *Server) configOf(c echo.Context) (*subs.Config, error) {
	k := callOf(c)
	if k.config != nil {
		return k.config, nil
	}
	config, err := s.parseSubscription(c)
	if err != nil {
		return nil, err
	}
	k.config = &config
	return k.config, nil
}

func (s *Server) parseSubscription(c echo.Context) (config subs.Config, err error) {
	var q subscriptionRequest
	if err := s.readControl(c, &q); err != nil {
		return config, err
	}
	var no *subs.Refusal
	if config.Kind, no = subs.ParseKind(q.Type); no != nil {
		return config, no
	}
	config.Pattern, config.Description = q.Pattern, q.Description
	if config.Streams, err = paths(q.Streams); err != nil {
		return config, err
	}
	if q.Webhook != nil {
		config.URL = q.Webhook.URL
	}
	if q.WakeStream != "" && config.Kind == subs.PullWake {
		if config.WakeStream, no = subs.ParsePath(q.WakeStream); no != nil {
			return config, no
		}
	}
	if q.LeaseTTL != nil {
		ms := *q.LeaseTTL
		if ms < subs.LeaseTTLMin.Milliseconds() || ms > subs.LeaseTTLMax.Milliseconds() {
			return config, &subs.Refusal{Code: subs.InvalidRequest, Detail: "lease_ttl_ms is not a whole number from 1000 to 600000"}
		}
		config.LeaseTTL = time.Duration(ms) * time.Millisecond
	}
	if no := config.Normalise(); no != nil {
		return config, no
	}
	if config.Kind == subs.Webhook {
		if no := s.cfg.Webhooks.CheckURL(config.URL); no != nil {
			return config, no
		}
	}
	return config, nil
}

// paths parses the streams of a body.
func paths(list []string) ([]stream.Name, error) {
	if len(list) > subs.StreamsMax {
		return nil, &subs.Refusal{Code: subs.InvalidRequest, Detail: "there are more than 1000 streams; send them in several requests"}
	}
	var names []stream.Name
	for _, path := range list {
		name, no := subs.ParsePath(path)
		if no != nil {
			return nil, no
		}
		names = append(names, name)
	}
	return names, nil
}

// publicBase is the stream root as clients reach it: as configured, or as this
// request did.
func (s *Server) publicBase(r *http.Request) string {
	if s.cfg.PublicURL != "" {
		return strings.TrimRight(s.cfg.PublicURL, "/") + s.cfg.BasePath
	}
	own := location(r)
	if i := strings.Index(own, s.base+controlPath+"/"); i >= 0 {
		return own[:i] + s.cfg.BasePath
	}
	return s.cfg.BasePath
}

// readControl reads a JSON body.
func (s *Server) readControl(c echo.Context, into any) error {
	if c.Request().ContentLength > controlBytesMax {
		return errTooLarge
	}
	body, err := s.body(c, nil)
	switch {
	case err != nil:
		return err
	case len(body) > controlBytesMax:
		return errTooLarge
	case len(body) == 0:
		return &subs.Refusal{Code: subs.InvalidRequest, Detail: "the body is empty; send a JSON object"}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &subs.Refusal{Code: subs.InvalidRequest, Detail: "the body is not the JSON object that was expected: " + err.Error()}
	}
	return nil
}

// showSubscription answers GET: §6.3.
func (s *Server) showSubscription(c echo.Context, id subs.ID) error {
	r := c.Request()
	v, err := s.vantage(r, c.Response().Header())
	if err != nil {
		return err
	}
	if err := v.fence(r.Context()); err != nil {
		return notCurrent(err)
	}
	sub, ok := s.cfg.Subscriptions.Subscription(id)
	if !ok {
		return &subs.Refusal{Code: subs.SubscriptionNotFound}
	}
	return s.writeSubscription(c, http.StatusOK, sub)
}

func (s *Server) writeSubscription(c echo.Context, status int, sub *subs.Subscription) error {
	body, err := s.renderSubscription(c.Request().Context(), sub)
	if err != nil {
		return err
	}
	return writeJSON(c, status, body)
}

func (s *Server) renderSubscription(ctx context.Context, sub *subs.Subscription) (*subscriptionBody, error) {
	links, err := s.cfg.Subscriptions.Links(sub.Number, shownStreamsMax)
	if err != nil {
		return nil, err
	}
	b := &subscriptionBody{
		ID: sub.ID, SubscriptionID: sub.ID, Type: sub.Config.Kind.String(),
		Pattern: orNull(sub.Config.Pattern), WakeStream: orNull(sub.Config.WakeStream), Description: orNull(sub.Config.Description),
		Streams: make([]linkBody, len(links)), LeaseTTL: sub.Config.LeaseTTL.Milliseconds(), Status: sub.Status(),
		CreatedAt: time.UnixMilli(int64(sub.CreatedAt)).UTC().Format("2006-01-02T15:04:05.000Z"),
	}
	for i, l := range links {
		b.Streams[i] = linkBody{Path: l.Name, LinkType: l.Type(), AckedOffset: l.Acked.String()}
	}
	if sub.Config.Kind == subs.Webhook {
		kid, err := s.cfg.Webhooks.ActiveKid(ctx)
		if err != nil {
			return nil, keysUnavailable(err)
		}
		b.Webhook = &webhookBody{URL: sub.Config.URL, Signing: signingBody{Alg: "ed25519", Kid: kid, JWKSURL: sub.Base + "/" + controlPath + "/jwks.json"}}
	}
	return b, nil
}

// orNull is nil for what is not there.
func orNull[T ~string](v T) *T {
	if v == "" {
		return nil
	}
	return &v
}

// listSubscriptions is an addition to the specification, for operators. Above
// the limit, ?after= with the answer's next goes on.
func (s *Server) listSubscriptions(c echo.Context) error {
	r := c.Request()
	v, err := s.vantage(r, c.Response().Header())
	if err != nil {
		return err
	}
	if err := v.fence(r.Context()); err != nil {
		return notCurrent(err)
	}
	after, _ := strconv.ParseUint(r.URL.Query().Get("after"), 10, 64)
	list := struct {
		Subscriptions []subscriptionSummary `json:"subscriptions"`
		Next          string                `json:"next,omitempty"`
	}{Subscriptions: []subscriptionSummary{}}
	s.cfg.Subscriptions.EachSubscription(func(sub *subs.Subscription) bool {
		if sub.Number <= after {
			return true
		}
		if len(list.Subscriptions) == listedMax {
			return false
		}
		list.Subscriptions = append(list.Subscriptions, summarise(sub))
		list.Next = strconv.FormatUint(sub.Number, 10)
		return true
	})
	if len(list.Subscriptions) < listedMax {
		list.Next = ""
	}
	return writeJSON(c, http.StatusOK, list)
}

// listedMax is how many subscriptions one listing shows.
const listedMax = 1000

// subscriptionSummary is one line of a listing, with what an operator asks for
// when work stands still.
type subscriptionSummary struct {
	ID          subs.ID      `json:"id"`
	Type        string       `json:"type"`
	Pattern     *string      `json:"pattern"`
	WakeStream  *stream.Name `json:"wake_stream"`
	URL         *string      `json:"webhook_url"`
	Status      string       `json:"status"`
	Pending     uint64       `json:"pending_streams"`
	Generation  uint64       `json:"generation"`
	Holder      *string      `json:"holder"`
	Retries     uint32       `json:"retries"`
	NextAttempt *int64       `json:"next_attempt_at"` // Unix milliseconds
}

func summarise(s *subs.Subscription) subscriptionSummary {
	sum := subscriptionSummary{
		ID: s.ID, Type: s.Config.Kind.String(), Pattern: orNull(s.Config.Pattern), WakeStream: orNull(s.Config.WakeStream),
		URL: orNull(s.Config.URL), Status: s.Status(), Pending: s.Pending, Generation: s.Generation, Holder: orNull(s.Holder), Retries: s.Retries,
	}
	if s.NextAttempt != 0 {
		at := int64(s.NextAttempt)
		sum.NextAttempt = &at
	}
	return sum
}

// deleteSubscription answers DELETE: §6.3.
func (s *Server) deleteSubscription(c echo.Context, id subs.ID) error {
	if _, err := s.decide(c.Request().Context(), subs.Delete{ID: id}); err != nil {
		return err
	}
	return noContent(c)
}

// addStreams answers POST to streams: §6.4.
func (s *Server) addStreams(c echo.Context, id subs.ID) error {
	names, err := s.followingOf(c)
	if err != nil {
		return err
	}
	if _, err := s.decide(c.Request().Context(), subs.AddStreams{ID: id, Streams: names}); err != nil {
		return err
	}
	return noContent(c)
}

// followingOf returns the streams that a request adds to a subscription.
func (s *Server) followingOf(c echo.Context) ([]stream.Name, error) {
	k := callOf(c)
	if k.following != nil {
		return k.following, nil
	}
	var q struct {
		Streams []string `json:"streams"`
	}
	if err := s.readControl(c, &q); err != nil {
		return nil, err
	}
	if len(q.Streams) == 0 {
		return nil, &subs.Refusal{Code: subs.InvalidRequest, Detail: "streams is not an array of stream paths with at least one in it"}
	}
	names, err := paths(q.Streams)
	if err != nil {
		return nil, err
	}
	k.following = names
	return names, nil
}

// removeStream answers DELETE of one stream: §6.4. The path is escaped once
// more than a name is.
func (s *Server) removeStream(c echo.Context, id subs.ID, escaped string) error {
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return &subs.Refusal{Code: subs.InvalidRequest, Detail: "the stream path has a malformed escape; write a percent sign as %25"}
	}
	name, no := subs.ParsePath(path)
	if no != nil {
		return no
	}
	if _, err := s.decide(c.Request().Context(), subs.RemoveStream{ID: id, Stream: name}); err != nil {
		return err
	}
	return noContent(c)
}

// showKeys answers GET of jwks.json: §6.5.
func (s *Server) showKeys(c echo.Context) error {
	body, err := s.cfg.Webhooks.JWKS(c.Request().Context())
	if err != nil {
		return keysUnavailable(err)
	}
	h := c.Response().Header()
	h[headerContentType] = valKeySet
	h[headerCacheControl] = valKeySetCache
	h[headerContentLength] = []string{strconv.Itoa(len(body))}
	c.Response().WriteHeader(http.StatusOK)
	_, _ = c.Response().Write(body) // a client that has left needs no answer
	return nil
}

var (
	valKeySet      = []string{"application/jwk-set+json"}
	valKeySetCache = []string{"public, max-age=300"}
)

func noContent(c echo.Context) error {
	c.Response().Header()[headerCacheControl] = valNoStore
	c.Response().WriteHeader(http.StatusNoContent)
	return nil
}

// writeJSON writes an answer that no cache may keep.
func writeJSON(c echo.Context, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h[headerContentType] = valJSON
	h[headerCacheControl] = valNoStore
	h[headerContentLength] = []string{strconv.Itoa(len(body))}
	c.Response().WriteHeader(status)
	_, _ = c.Response().Write(body) // a client that has left needs no answer
	return nil
}
