package deliver

import (
	"encoding/json"
	"fmt"
	"net/url"

	"mainstem/subs"
)

// wakeBody is what a webhook is sent (§7.1).
type wakeBody struct {
	SubscriptionID string            `json:"subscription_id"`
	WakeID         string            `json:"wake_id"`
	Generation     uint64            `json:"generation"`
	Streams        []subs.StreamBody `json:"streams"`
	CallbackURL    string            `json:"callback_url"`
	CallbackToken  string            `json:"callback_token"`
}

// compose returns the body of a delivery, and the cursors that it has reached when
// the receiver says that it is done with it.
func compose(s *subs.Subscription, links []subs.LinkInfo, token string) (body []byte, reached []subs.Cursor, err error) {
	w := wakeBody{
		SubscriptionID: string(s.ID), WakeID: s.WakeID, Generation: s.Generation,
		Streams:       make([]subs.StreamBody, 0, len(links)),
		CallbackURL:   s.Base + "/__ds/subscriptions/" + url.PathEscape(string(s.ID)) + "/callback",
		CallbackToken: token,
	}
	for _, link := range links {
		w.Streams = append(w.Streams, link.Body())
		if link.Pending {
			reached = append(reached, subs.Cursor{Stream: link.Name, Offset: link.Tail})
		}
	}
	if body, err = json.Marshal(w); err != nil {
		return nil, nil, fmt.Errorf("encode the body of a wake: %w", err)
	}
	return body, reached, nil
}
