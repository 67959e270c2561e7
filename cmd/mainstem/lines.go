package main

import (
	"errors"
	"net/http"

	"mainstem/httpapi"
	"mainstem/lines"
)

// takeOver returns what takes SSE connections from net/http, nil where there is no
// such thing. Without TLS all connections of the clients' port are plain TCP, and can
// be taken.
func (n *node) takeOver() func(http.ResponseWriter, func()) (httpapi.Line, error) {
	if n.keys != nil {
		return nil
	}
	poller, err := lines.Open()
	if err != nil {
		if !errors.Is(err, lines.ErrUnsupported) {
			n.log.Warn("SSE connections stay with net/http and cost more memory", "err", err)
		}
		return nil
	}
	n.opened.push("poller", poller.Close)
	return func(w http.ResponseWriter, wake func()) (httpapi.Line, error) {
		l, err := poller.Take(w, wake)
		if err != nil {
			return nil, err
		}
		return l, nil
	}
}
