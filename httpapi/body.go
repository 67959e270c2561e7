package httpapi

import (
	"errors"
	"io"
	"math/bits"
	"net"
	"net/http"
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
	// bodyRoomLeast is the smallest buffer that is kept for bodies.
	bodyRoomLeast = 512
	// A body may take bodyTimeMin and a second for each bodyRateMin bytes.
	bodyTimeMin = 30 * time.Second
	bodyRateMin = 64 << 10
)

// readDeadliner is what net/http's response writers can do.
type readDeadliner interface{ SetReadDeadline(time.Time) error }

// bodyBuffer is where the body of an append is read to: what is submitted is
// copied into a batch, so that the next append can use it again.
type bodyBuffer struct{ b []byte }

func (s *Server) takeBuffer() *bodyBuffer { return s.bodies.Get().(*bodyBuffer) }

func (s *Server) giveBack(b *bodyBuffer) {
	if cap(b.b) <= bodyReserveMax {
		s.bodies.Put(b)
	}
}

// body reads the whole body of a request, to room if there is any and it is large
// enough, or returns errTooLarge without having read more than the limit.
func (s *Server) body(c echo.Context, room *bodyBuffer) ([]byte, error) {
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
	var to []byte
	if n := r.ContentLength; room != nil && 0 <= n && n <= bodyReserveMax {
		if int64(cap(room.b)) < n {
			room.b = make([]byte, roomFor(n))
		}
		to = room.b[:0:n]
	}
	k := callOf(c)
	if to != nil {
		if err := k.holdIncoming(r.ContentLength); err != nil {
			return nil, err
		}
	}
	data, err := readAll(to, r.Body, r.ContentLength, limit, k.holdIncoming)
	s.metrics.bytesIn.Add(float64(len(data)))
	if r.ContentLength < 0 {
		s.throttle.spend(k, int64(len(data)))
	}
	return data, err
}

// roomFor is the size of a buffer for bodies about as long as n: a power of two,
// so that bodies of slightly different lengths share it.
func roomFor(n int64) int64 { return max(bodyRoomLeast, int64(1)<<bits.Len64(uint64(n-1))) }

// readAll reads length bytes, or up to limit when the length is -1: to data, if
// that is not nil and has exactly the length as its capacity. It asks hold before
// it takes memory.
func readAll(data []byte, from io.Reader, length, limit int64, hold func(int64) error) ([]byte, error) {
	reserve := int64(bodyReserveUnknown)
	if length >= 0 {
		reserve, limit = min(length, bodyReserveMax), length
	}
	if data == nil {
		reserve = min(reserve, limit+1)
		if err := hold(reserve); err != nil {
			return nil, err
		}
		data = make([]byte, 0, reserve)
	}
	for {
		if len(data) == cap(data) {
			if int64(len(data)) == length {
				return data, nil
			}
			room := moreRoom(data, limit)
			if err := hold(int64(room)); err != nil {
				return nil, err
			}
			data = append(make([]byte, 0, len(data)+room), data...)
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

// moreRoom doubles the room of data, but never beyond what a body may take and one
// byte more, which shows that it is longer.
func moreRoom(data []byte, limit int64) int {
	return int(max(1, min(int64(cap(data)), limit+1-int64(len(data)))))
}

func bodyError(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errBodySlow
	}
	return errBodyRead
}
