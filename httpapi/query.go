package httpapi

import (
	"net/http"
	"net/url"
	"strings"

	"mainstem/stream"
)

// mode is how a read goes on when it has reached the tail.
type mode uint8

const (
	catchUp mode = iota
	longPoll
	sse
)

func (m mode) operation() operation {
	return [...]operation{catchUp: opRead, longPoll: opLongPoll, sse: opSSE}[m]
}

// query is what a GET asks for.
type query struct {
	name   stream.Name
	from   stream.From
	mode   mode
	cursor string
	tags   []string // If-None-Match
}

// parseQuery parses the parameters of §5.6 to §5.8. Others are ignored.
func parseQuery(r *http.Request) (q query, err error) {
	var offset, live param
	for rest := r.URL.RawQuery; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		key, value, _ := strings.Cut(pair, "=")
		if strings.ContainsAny(key, "%+") {
			if key, err = url.QueryUnescape(key); err != nil {
				continue // it is no parameter of ours
			}
		}
		switch key {
		case "offset":
			err = offset.set(key, value)
		case "live":
			err = live.set(key, value)
		case "cursor":
			q.cursor, err = unescape(key, value)
		}
		if err != nil {
			return q, err
		}
	}
	if q.mode, err = parseMode(live); err != nil {
		return q, err
	}
	switch {
	case offset.given:
		q.from, err = stream.ParseFrom(offset.value)
	case q.mode != catchUp:
		err = malformed("the offset parameter", "is missing", "a live read needs one: -1, now, or a Stream-Next-Offset")
	}
	q.tags = r.Header[headerIfNoneMatch]
	return q, err
}

func parseMode(live param) (mode, error) {
	switch {
	case !live.given:
		return catchUp, nil
	case live.value == "long-poll":
		return longPoll, nil
	case live.value == "sse":
		return sse, nil
	}
	return 0, malformed("the live parameter", "is not a mode", "use long-poll or sse, or leave it out")
}

// param is a query parameter that may come once.
type param struct {
	value string
	given bool
}

func (p *param) set(name, raw string) (err error) {
	if p.given {
		return malformed("the "+name+" parameter", "is repeated", "send it once")
	}
	p.given = true
	if p.value, err = unescape(name, raw); err == nil && p.value == "" {
		err = malformed("the "+name+" parameter", "is empty", "give it a value, or leave it out")
	}
	return err
}

func unescape(name, raw string) (string, error) {
	if !strings.ContainsAny(raw, "%+") {
		return raw, nil
	}
	value, err := url.QueryUnescape(raw)
	if err != nil {
		return "", malformed("the "+name+" parameter", "has a malformed escape", "write a percent sign as %25")
	}
	return value, nil
}
