package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"mainstem/stream"
)

const (
	listLimitStd = 100
	listLimitMax = 1000
	// listLooksMax is how many streams are looked at for one answer: what the
	// identity may not see costs too.
	listLooksMax = 10_000
)

// listBody is the answer to a listing.
type listBody struct {
	Streams []listedStream `json:"streams"`
	// Next is what to ask for with after; absent when nothing follows. A page may
	// be short, or empty, and have a next one.
	Next string `json:"next,omitempty"`
}

// listedStream is what is told of one stream.
type listedStream struct {
	Name        stream.Name `json:"name"`
	ContentType string      `json:"content_type"`
	NextOffset  string      `json:"next_offset"`
	Closed      bool        `json:"closed"`
	CreatedAt   string      `json:"created_at"`
	TTL         *uint64     `json:"ttl_seconds,omitempty"`
	ExpiresAt   string      `json:"expires_at,omitempty"`
	ForkedFrom  stream.Name `json:"forked_from,omitempty"`

	RetentionBytes uint64 `json:"retention_bytes,omitempty"`
	RetentionAge   uint64 `json:"retention_age_seconds,omitempty"`
	Horizon        string `json:"horizon,omitempty"` // of one that was trimmed
}

// listing is what a request for a listing asks.
type listing struct {
	prefix string
	after  stream.Name
	limit  int
}

// list answers GET /v1/streams. What is soft-deleted is not listed: it answers 410.
func (s *Server) list(c echo.Context) (operation, error) {
	r, h := c.Request(), c.Response().Header()
	q, err := parseListing(r)
	if err != nil {
		return opList, err
	}
	v, err := s.vantage(r, h)
	if err != nil {
		return opList, err
	}
	if err := v.fence(r.Context()); err != nil {
		return opList, notCurrent(err)
	}
	page := listBody{Streams: []listedStream{}}
	sees, looks, last := readable(c), 0, stream.Name("")
	err = s.reader.List(q.prefix, q.after, func(name stream.Name, state *stream.State) bool {
		if len(page.Streams) == q.limit || looks == listLooksMax {
			page.Next = string(last)
			return false
		}
		looks, last = looks+1, name
		if !state.Deleted && sees(name) {
			page.Streams = append(page.Streams, listed(name, state))
		}
		return true
	})
	if err != nil {
		return opList, err
	}
	body, err := json.Marshal(page)
	if err != nil {
		return opList, err
	}
	s.writePlain(c, valJSON, append(body, '\n'))
	return opList, nil
}

func listed(name stream.Name, s *stream.State) listedStream {
	l := listedStream{
		Name: name, ContentType: string(s.ContentType), NextOffset: s.Tail().String(), Closed: s.Closed,
		CreatedAt: time.UnixMilli(int64(s.CreatedAt)).UTC().Format(time.RFC3339Nano), ExpiresAt: s.Lifetime.ExpiresAtText(),
	}
	if window, ok := s.Lifetime.TTL(); ok {
		secs := uint64(window / time.Second)
		l.TTL = &secs
	}
	l.RetentionBytes, l.RetentionAge = s.Retention.Bytes, s.Retention.Age
	if s.Horizon > 0 {
		l.Horizon = s.Start().String()
	}
	if s.Origin != nil {
		l.ForkedFrom = s.Origin.Source
	}
	return l
}

// parseListing wants each parameter once. Others are ignored.
func parseListing(r *http.Request) (q listing, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, malformed("the query", "has a malformed escape", "write a percent sign as %25")
	}
	for _, name := range []string{"prefix", "after", "limit"} {
		if len(values[name]) > 1 {
			return q, malformed("the "+name+" parameter", "is repeated", "send it once")
		}
	}
	if q.prefix, err = stream.ParsePrefix(values.Get("prefix")); err != nil {
		return q, err
	}
	after, err := stream.ParsePrefix(values.Get("after"))
	if err != nil {
		return q, err
	}
	q.after, q.limit = stream.Name(after), listLimitStd
	if text := values["limit"]; text != nil {
		n, ok := stream.ParseInteger(text[0])
		if !ok || n < 1 || n > listLimitMax {
			return q, malformed("the limit parameter", "is not a number from 1 to "+strconv.Itoa(listLimitMax), "leave it out for "+strconv.Itoa(listLimitStd))
		}
		q.limit = int(n)
	}
	return q, nil
}
