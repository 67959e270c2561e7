package deliver

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	dialTimeout         = 5 * time.Second
	idleTimeout         = 30 * time.Second
	responseHeaderMax   = 16 << 10
	idleConnectionsMax  = 64
	idlePerTarget       = 2
	tlsHandshakeTimeout = 5 * time.Second
	keepAliveProbes     = 15 * time.Second
)

// newClient returns a client that connects only where check allows. The check sees
// the address that is about to be dialled, after every lookup, so a name that leads
// elsewhere than it did a moment ago gains nothing. Redirects are answers like any
// other, and no proxy of the environment is used: it would do the dialling.
func newClient(cfg Config, check func(netip.Addr) error) *http.Client {
	dialer := &net.Dialer{
		Timeout:   dialTimeout,
		KeepAlive: keepAliveProbes,
		Resolver:  cfg.Resolver,
		Control: func(network, address string, _ syscall.RawConn) error {
			return checkDial(network, address, check)
		},
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        cfg.TLS,
			TLSHandshakeTimeout:    tlsHandshakeTimeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // an answer is short, and must not grow when read
			MaxResponseHeaderBytes: responseHeaderMax,
			MaxIdleConns:           idleConnectionsMax,
			MaxIdleConnsPerHost:    idlePerTarget,
			IdleConnTimeout:        idleTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func checkDial(network, address string, check func(netip.Addr) error) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: %s is not TCP", errAddress, network)
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errAddress, err)
	}
	return check(target.Addr())
}
