package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
	"mainstem/subs"
)

// wakeRequest is the body of callback, ack and release (§7.1, §7.2).
type wakeRequest struct {
	WakeID     string `json:"wake_id"`
	Generation uint64 `json:"generation"`
	Acks       []struct {
		Stream string `json:"stream"`
		Path   string `json:"path"` // what the reference server takes in its place
		Offset string `json:"offset"`
	} `json:"acks"`
	Done bool `json:"done"`
}

type claimBody struct {
	WakeID     string            `json:"wake_id"`
	Generation uint64            `json:"generation"`
	Token      string            `json:"token"`
	Streams    []subs.StreamBody `json:"streams"`
	LeaseTTL   int64             `json:"lease_ttl_ms"`
}

type ackBody struct {
	OK       bool `json:"ok"`
	NextWake bool `json:"next_wake"`
}

// claim answers §7.2: a worker takes the lease of a pull-wake subscription.
func (s *Server) claim(c echo.Context, id subs.ID) error {
	var q struct {
		Worker string `json:"worker"`
	}
	if err := s.readControl(c, &q); err != nil {
		return err
	}
	worker, no := subs.ParseWorker(q.Worker)
	if no != nil {
		return no
	}
	ctx := c.Request().Context()
	if err := s.cfg.Webhooks.CanMint(ctx); err != nil { // before anything is claimed: a claim without its token helps nobody
		return keysUnavailable(err)
	}
	out, err := s.decide(ctx, subs.Claim{ID: id, Worker: worker, WakeID: s.cfg.Webhooks.NewWakeID()})
	if err != nil {
		return err
	}
	token, err := s.cfg.Webhooks.Mint(ctx, out.Number, out.Generation)
	if err != nil {
		return keysUnavailable(err)
	}
	sub, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	if sub.Number != out.Number {
		return &subs.Refusal{Code: subs.SubscriptionNotFound, Detail: "the subscription was deleted while it was claimed, and there is another of its id now"}
	}
	links, err := s.cfg.Subscriptions.Links(out.Number, wakeStreamsMax)
	if err != nil {
		return err
	}
	body := claimBody{WakeID: out.WakeID, Generation: out.Generation, Token: token,
		Streams: make([]subs.StreamBody, len(links)), LeaseTTL: sub.Config.LeaseTTL.Milliseconds()}
	for i, l := range links {
		body.Streams[i] = l.Body()
	}
	return writeJSON(c, http.StatusOK, body)
}

// callback answers §7.1 for the handler of a webhook.
func (s *Server) callback(c echo.Context, id subs.ID) error {
	return s.acknowledge(c, id, subs.Webhook)
}

// ack answers §7.2 for a worker.
func (s *Server) ack(c echo.Context, id subs.ID) error { return s.acknowledge(c, id, subs.PullWake) }

func (s *Server) acknowledge(c echo.Context, id subs.ID, via subs.Kind) error {
	sub, token, q, err := s.wakeRequest(c, id, via)
	if err != nil {
		return err
	}
	cmd := subs.Ack{Number: sub.Number, Via: via, Token: token, Generation: q.Generation, WakeID: q.WakeID, Done: q.Done}
	if cmd.Acks, err = cursors(q); err != nil {
		return err
	}
	out, err := s.decide(c.Request().Context(), cmd)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, ackBody{OK: true, NextWake: out.Pending})
}

// release answers §7.2: a worker gives its claim back.
func (s *Server) release(c echo.Context, id subs.ID) error {
	sub, token, q, err := s.wakeRequest(c, id, subs.PullWake)
	if err != nil {
		return err
	}
	cmd := subs.Release{Number: sub.Number, Token: token, Generation: q.Generation, WakeID: q.WakeID}
	if _, err := s.decide(c.Request().Context(), cmd); err != nil {
		return err
	}
	return noContent(c)
}

// wakeRequest reads a call about a wake and checks who makes it.
func (s *Server) wakeRequest(c echo.Context, id subs.ID, via subs.Kind) (sub *subs.Subscription, token uint64, q wakeRequest, err error) {
	r := c.Request()
	if sub, err = s.find(r.Context(), id); err != nil {
		return nil, 0, q, err
	}
	if sub.Config.Kind != via {
		return nil, 0, q, &subs.Refusal{Code: subs.InvalidRequest,
			Detail: "the subscription is of type " + sub.Config.Kind.String() + "; webhooks use callback, pull-wake workers use claim, ack and release"}
	}
	if token, err = s.verify(r, sub); err != nil {
		return nil, 0, q, err
	}
	return sub, token, q, s.readControl(c, &q)
}

func cursors(q wakeRequest) ([]subs.Cursor, error) {
	if len(q.Acks) > subs.StreamsMax {
		return nil, &subs.Refusal{Code: subs.InvalidRequest, Detail: "there are more than 1000 acks; send them in several requests, the last with done"}
	}
	var list []subs.Cursor
	for _, a := range q.Acks {
		path := a.Stream
		if path == "" {
			path = a.Path
		}
		name, no := subs.ParsePath(path)
		if no != nil {
			return nil, no
		}
		offset, err := stream.ParseOffset(a.Offset)
		if err != nil {
			return nil, &subs.Refusal{Code: subs.InvalidOffset,
				Detail: "an acked offset is malformed; ack a Stream-Next-Offset of the stream, or the tail_offset of the wake"}
		}
		list = append(list, subs.Cursor{Stream: name, Offset: offset})
	}
	return list, nil
}
