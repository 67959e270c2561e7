package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// bucketsMax is how many identities and addresses are remembered. One that was
// not seen for longest is forgotten, and begins with full buckets when it comes
// back.
const bucketsMax = 16384

// ipv6Bits is how much of an IPv6 address tells one client from another: who has
// one address has all of its network.
const ipv6Bits = 64

// throttle bounds what each client may ask for in a second. A nil one bounds
// nothing.
type throttle struct {
	requests float64 // a second; 0 for any number
	bytes    float64 // a second, of bodies both ways; 0 for any number
	burst    int64   // of bytes: the largest body must fit
	now      func() time.Time
	clients  *lru.Cache[string, *buckets]
}

// buckets are one client's.
type buckets struct{ requests, bytes *rate.Limiter }

func newThrottle(cfg Config) (*throttle, error) {
	if cfg.ClientRequests == 0 && cfg.ClientBytes == 0 {
		return nil, nil
	}
	clients, err := lru.New[string, *buckets](bucketsMax)
	if err != nil {
		return nil, err
	}
	return &throttle{
		requests: float64(cfg.ClientRequests), bytes: float64(cfg.ClientBytes), burst: max(cfg.ClientBytes, cfg.BodyBytesMax),
		now: cfg.Now, clients: clients,
	}, nil
}

// of returns the buckets of a client, full ones for a new one.
func (t *throttle) of(client string) *buckets {
	if b, ok := t.clients.Get(client); ok {
		return b
	}
	b := &buckets{rate.NewLimiter(rate.Inf, 0), rate.NewLimiter(rate.Inf, 0)}
	if t.requests > 0 {
		b.requests = rate.NewLimiter(rate.Limit(t.requests), max(1, int(t.requests)))
	}
	if t.bytes > 0 {
		b.bytes = rate.NewLimiter(rate.Limit(t.bytes), int(t.burst))
	}
	if first, found, _ := t.clients.PeekOrAdd(client, b); found {
		return first
	}
	return b
}

// admit counts a request before its body is read. A body whose length is known is
// counted as well; of another, and of an answer, it is only asked whether the
// client has used up what it has, and spend counts it afterwards.
func (t *throttle) admit(k *call) error {
	if t == nil || k.operation.free() {
		return nil
	}
	k.buckets = t.of(clientOf(k))
	now := t.now()
	if r := k.buckets.requests.ReserveN(now, 1); !allowed(r, now) {
		return tooFast("REQUEST_RATE", "requests", r.DelayFrom(now))
	}
	length := max(k.Request().ContentLength, 0)
	if length > t.burst {
		return nil // too large in any case, which the answer will say
	}
	if length == 0 {
		length = 1 // of an empty bucket not even that
	}
	if r := k.buckets.bytes.ReserveN(now, int(length)); !allowed(r, now) {
		return tooFast("BYTE_RATE", "bytes", r.DelayFrom(now))
	}
	return nil
}

// allowed takes back a reservation that would have to be waited for.
func allowed(r *rate.Reservation, now time.Time) bool {
	if r.DelayFrom(now) == 0 {
		return true
	}
	r.CancelAt(now)
	return false
}

// spend counts bytes that could not be counted before: the bucket may come to
// owe, up to one burst at a time, which the next request pays for.
func (t *throttle) spend(k *call, n int64) {
	if t == nil || k.buckets == nil {
		return
	}
	for now := t.now(); n > 0; n -= t.burst {
		k.buckets.bytes.ReserveN(now, int(min(n, t.burst)))
	}
}

// clientOf tells clients apart: by who they are, where that is known of each, or
// else by address.
func clientOf(k *call) string {
	if k.identity != nil && k.identity.Key != "" {
		return k.identity.Key
	}
	return "address " + addressOf(k.Request())
}

func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		return netip.PrefixFrom(addr, ipv6Bits).Masked().String()
	}
	return addr.String()
}
