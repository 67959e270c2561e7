package httpapi

import (
	"net/http"
	"strings"

	"mainstem/stream"
)

// ifMatch parses the condition of an append: one offset in quotes, where the
// stream must end, or "-1" for one that is empty. nil is none, and so is *, which
// asks only that there is a stream (RFC 9110 §13.1.1).
func ifMatch(h http.Header) (*stream.Offset, error) {
	value, ok, err := once(h, headerIfMatch)
	if err != nil || !ok || value == "*" {
		return nil, err
	}
	const mend = `send one offset that this stream returned in quotes, such as "0000000000000001_0000000000000042", or "-1" for an empty stream`
	text, quoted := strings.CutPrefix(value, `"`)
	text, ended := strings.CutSuffix(text, `"`)
	if !quoted || !ended {
		return nil, malformed(headerIfMatch, "is not an offset in quotes", mend)
	}
	from, err := stream.ParseFrom(text)
	if err != nil || from.Now() {
		return nil, malformed(headerIfMatch, "does not hold an offset", mend)
	}
	at, _ := from.Offset() // zero for the start
	return &at, nil
}
