package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// listPath is where a server lists its streams: beside the place where they live,
// which the protocol leaves to the server.
const listPath = "/v1/streams"

// Listed is what a listing tells of one stream.
type Listed struct {
	Name        string  `json:"name"`
	ContentType string  `json:"content_type"`
	Next        string  `json:"next_offset"`
	Closed      bool    `json:"closed"`
	CreatedAt   string  `json:"created_at"`
	TTL         *uint64 `json:"ttl_seconds,omitempty"`
	ExpiresAt   string  `json:"expires_at,omitempty"`
	ForkedFrom  string  `json:"forked_from,omitempty"`

	RetentionBytes uint64 `json:"retention_bytes,omitempty"`
	RetentionAge   uint64 `json:"retention_age_seconds,omitempty"`
	Horizon        string `json:"horizon,omitempty"` // of one that was trimmed
}

// List yields the streams whose names begin with a prefix, in order. page is how
// many are asked for at once; 0 is as many as the server likes. Only Mainstem
// lists: of other servers the error is that there is no such path.
func (c *Client) List(ctx context.Context, prefix string, page int) iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		after := ""
		for {
			streams, next, err := c.listPage(ctx, prefix, after, page)
			if err != nil {
				yield(Listed{}, err)
				return
			}
			for _, s := range streams {
				if !yield(s, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			after = next
		}
	}
}

func (c *Client) listPage(ctx context.Context, prefix, after string, limit int) ([]Listed, string, error) {
	query := url.Values{}
	if prefix != "" {
		query.Set("prefix", prefix)
	}
	if after != "" {
		query.Set("after", after)
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	list, err := c.listURL()
	if err != nil {
		return nil, "", err
	}
	res, err := c.do(ctx, request{method: http.MethodGet, target: list, query: query.Encode(), again: true})
	var p *Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		return nil, "", fmt.Errorf("%s lists no streams; listing is an addition of Mainstem: %w", list, err)
	}
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	var answer struct {
		Streams []Listed `json:"streams"`
		Next    string   `json:"next"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return nil, "", fmt.Errorf("read the listing: %w", err)
	}
	if answer.Next != "" && answer.Next <= after {
		return nil, "", fmt.Errorf("the listing goes back from %q to %q", after, answer.Next)
	}
	return answer.Streams, answer.Next, nil
}

// listURL is below the prefix under which the server is mounted, as far as the
// base tells: where it ends as it does by default, that is cut off.
func (c *Client) listURL() (string, error) {
	u, err := url.Parse(c.base)
	if err != nil {
		return "", err
	}
	mount, _ := strings.CutSuffix(strings.TrimSuffix(u.EscapedPath(), "/"), "/v1/stream")
	if mount == strings.TrimSuffix(u.EscapedPath(), "/") { // a base of its own
		mount = ""
	}
	return u.Scheme + "://" + u.Host + mount + listPath, nil
}
