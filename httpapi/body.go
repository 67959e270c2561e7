package httpapi

import (
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	// bodyReserveMax is how much memory a client gets for announcing a body,
	// before it has sent one.
	bodyReserveMax = 1 << 20
	// bodyReserveUnknown is for a body of unknown length.
	bodyReserveUnknown = 8 << 10
	// A body may take bodyTimeMin and a second for each bodyRateMin bytes.
	bodyTimeMin = 30 * time.Second
	bodyRateMin = 64 << 10
)

// readDeadliner is what net/http's response writers can do.
type readDeadliner interface{ SetReadDeadline(time.Time) error }

// body reads the whole body of a request, which the caller may keep, or returns
// errTooLarge without having read more than the limit.
func (s *Server) body(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if encoding, ok, err := once(r.Header, headerContentEncoding); err != nil {
		return nil, err
	} else if ok && !strings.EqualFold(encoding, "identity") {
		return nil, errEncoding
	}
	limit := s.cfg.BodyBytesMax
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	longest := r.ContentLength
	if longest < 0 {
		longest = limit
	}
	if w, ok := c.Response().Writer.(readDeadliner); ok {
		// Deadlines are set in the time of the network, not of Config.Now.
		// Without one, a client that stalls would hold its memory for ever.
		_ = w.SetReadDeadline(time.Now().Add(bodyTimeMin + time.Duration(longest/bodyRateMin)*time.Second))
		defer func() { _ = w.SetReadDeadline(time.Time{}) }()
	}
	data, err := readAll(r.Body, r.ContentLength, limit)
	s.metrics.bytesIn.Add(float64(len(data)))
	return data, err
}

// readAll reads length bytes, or up to limit when the length is -1.
func readAll(from io.Reader, length, limit int64) ([]byte, error) {
	reserve := int64(bodyReserveUnknown)
	if length >= 0 {
		reserve, limit = min(length, bodyReserveMax), length
	}
	data := make([]byte, 0, min(reserve, limit+1))
	for {
		if len(data) == cap(data) {
			if int64(len(data)) == length {
				return data, nil
			}
			data = grow(data, limit)
		}
		n, err := from.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case int64(len(data)) > limit:
			return nil, errTooLarge
		case err == io.EOF && length >= 0 && int64(len(data)) < length:
			return nil, errBodyRead
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, bodyError(err)
		}
	}
}

// grow doubles the room of data, but never beyond what a body may take and one
// byte more, which shows that it is longer.
func grow(data []byte, limit int64) []byte {
	room := min(int64(cap(data)), limit+1-int64(len(data)))
	return slices.Grow(data, int(max(room, 1)))
}

func bodyError(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errBodySlow
	}
	return errBodyRead
}
