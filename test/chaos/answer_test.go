package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	"mainstem/test/harness"
)

// settle tells what a client may conclude from the end of a write. err is set
// for an answer that no valid request may get, whatever is broken.
func settle(a harness.Answer, err error) (result string, wrong error) {
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return resultRefused, nil // nothing was sent
	case err != nil:
		return resultUnknown, nil
	case a.Status < 300:
		return resultOK, nil
	case a.Status == http.StatusServiceUnavailable && reason(a) == "OUTCOME_UNKNOWN":
		return resultUnknown, nil
	case a.Status == http.StatusServiceUnavailable, a.Status == http.StatusTooManyRequests, a.Status == http.StatusRequestTimeout, a.Status == http.StatusInsufficientStorage:
		return resultRefused, nil // the answer says that nothing was written
	case a.Status >= 500:
		return resultUnknown, nil
	}
	return resultRefused, fmt.Errorf("a valid request was answered %s", a)
}

// reason is the finer code of a problem body.
func reason(a harness.Answer) string {
	var p struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(a.Body, &p) != nil {
		return ""
	}
	return p.Reason
}

// wire brings what a read brought into the form in which streams are stored: an
// array loses its brackets and its last element gets a comma, so that what two
// reads brought can be joined, and a position in a stream is a number of bytes.
func wire(body []byte, isJSON bool) string {
	if !isJSON {
		return string(body)
	}
	inner := strings.TrimSuffix(strings.TrimPrefix(string(body), "["), "]")
	if inner == "" {
		return ""
	}
	return inner + ","
}

// position is the number of bytes before an offset, and life what names the
// stream's incarnation in it.
func position(offset string) (life string, at int, err error) {
	if offset == "-1" {
		return "", 0, nil
	}
	life, digits, ok := strings.Cut(offset, "_")
	at, err = strconv.Atoi(digits)
	if !ok || err != nil {
		return "", 0, fmt.Errorf("offset %q is none of this product's", offset)
	}
	return life, at, nil
}

// isJSON tells the type of a stream from its name, so that a history says it.
func isJSON(stream string) bool { return strings.HasPrefix(stream, "json/") }

func contentType(stream string) string {
	if isJSON(stream) {
		return "application/json"
	}
	return "text/plain"
}
