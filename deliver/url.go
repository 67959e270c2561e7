package deliver

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const urlBytesMax = 2048

// errAddress is why a target is refused for where it is.
var errAddress = errors.New("webhooks do not go to this address")

// localNames are endings of names that mean something only where they are looked
// up. The address behind every name is checked when it is dialled; these are
// refused early because they can never pass.
var localNames = []string{"localhost", "local", "internal", "home.arpa", "lan", "intranet"}

// checkURL judges what a client wrote; where its name leads is judged when it is
// dialled. What it returns can be shown to the client.
func checkURL(raw string, allowInsecure bool) error {
	u, err := parseTarget(raw)
	if err != nil {
		return err
	}
	host := u.Hostname()
	switch u.Scheme {
	case "http":
		switch {
		case allowInsecure && isDevelopmentHost(host):
			return nil
		case isDevelopmentHost(host):
			return errors.New("plain http to this machine needs webhooks.allow_insecure, which is for development; use https")
		}
		return errors.New("webhooks are sent over https; plain http is taken, with webhooks.allow_insecure, to http://localhost and http://127.0.0.1 alone")
	case "https":
		return checkHost(host)
	}
	return fmt.Errorf("scheme %q is not sent to; use https", u.Scheme)
}

// parseTarget takes a URL apart and refuses what has no place in one.
func parseTarget(raw string) (*url.URL, error) {
	if raw == "" || len(raw) > urlBytesMax {
		return nil, fmt.Errorf("a webhook URL has 1 to %d bytes; this one has %d", urlBytesMax, len(raw))
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil: // its text would repeat the URL, which may hold a secret
		return nil, errors.New("this is not a URL; write https://host/path")
	case u.Opaque != "" || u.Hostname() == "":
		return nil, errors.New("the URL names no host; write https://host/path")
	case u.User != nil:
		return nil, errors.New("the URL holds a user or a password; put what identifies you into the path or the query")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, errors.New("the URL has a fragment, which is never sent; remove it")
	}
	port := u.Port()
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) || strings.HasSuffix(u.Host, ":") {
		return nil, errors.New("the URL's port is not from 1 to 65535")
	}
	return u, nil
}

// isDevelopmentHost is the exact exception of §6.2, narrowed to the two hosts that
// everybody writes.
func isDevelopmentHost(host string) bool {
	return host == "127.0.0.1" || strings.EqualFold(host, "localhost")
}

// checkHost refuses literal addresses that are not public, and names that cannot
// be.
func checkHost(host string) error {
	if strings.ContainsAny(host, ":%") {
		a, err := netip.ParseAddr(host)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			return fmt.Errorf("%w: it is no plain address", errAddress)
		}
		return checkPublic(a)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if !isPlainName(name) {
		return fmt.Errorf("%w: %q is not a host name; write internationalised names as xn--", errAddress, host)
	}
	labels := strings.Split(name, ".")
	// Some resolvers read 127.1, 0x7f.1 or 2130706433 as an address, so a name that
	// ends in a number is an address or nothing.
	if last := labels[len(labels)-1]; isNumber(last) {
		a, err := netip.ParseAddr(name)
		if err != nil {
			return fmt.Errorf("%w: %q is neither a name nor an address", errAddress, host)
		}
		return checkPublic(a)
	}
	for _, local := range localNames {
		if name == local || strings.HasSuffix(name, "."+local) {
			return fmt.Errorf("%w: names in %q are local", errAddress, local)
		}
	}
	if len(labels) == 1 {
		return fmt.Errorf("%w: a name without a dot is local", errAddress)
	}
	return nil
}

// isPlainName tells whether a lower-case name consists of labels of letters,
// digits, hyphens and underscores.
func isPlainName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

func isNumber(label string) bool {
	digits, base := label, 10
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		digits, base = hex, 16
	}
	if digits == "" {
		return true // "0x" alone is a zero to some
	}
	for _, c := range digits {
		if _, err := strconv.ParseUint(string(c), base, 8); err != nil {
			return false
		}
	}
	return true
}
