package main

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"mainstem/settings"
)

// headersX are the headers by which proxies tell what they saw. Clients can
// send them too, so they count only from a proxy that is trusted.
var headersX = []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-Ip"}

// proxies decides what is believed of what a request says about the way it came.
type proxies struct {
	cfg     settings.Proxy
	trusted []netip.Prefix
}

func newProxies(cfg settings.Proxy) proxies {
	p := proxies{cfg: cfg}
	for _, text := range cfg.Trusted {
		if prefix, err := settings.ParsePrefix(text); err == nil { // the table has checked them
			p.trusted = append(p.trusted, prefix)
		}
	}
	return p
}

func (p proxies) trusts(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return p.cfg.Enabled && slices.ContainsFunc(p.trusted, func(t netip.Prefix) bool { return t.Contains(addr) })
}

type proxiedKey struct{}

// proxied tells whether a request came through a proxy, trusted or not, as far
// as it says so itself.
func proxied(r *http.Request) bool { return r.Context().Value(proxiedKey{}) != nil }

// hop is what one proxy says: from where, and how, a request came to it.
type hop struct {
	from        string
	proto, host string
}

// around gives h requests that say only what can be believed: RemoteAddr is the
// client's, X-Forwarded-Proto and the host those that it used, and all else that
// anyone could have made up is gone.
func (p proxies) around(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.says(r.Header) {
			h.ServeHTTP(w, r)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), proxiedKey{}, true))
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		trusted := err == nil && p.trusts(peer.Addr())
		var hops []hop
		if trusted {
			hops = p.hops(r.Header)
		}
		for _, name := range headersX {
			delete(r.Header, name)
		}
		delete(r.Header, "Forwarded")
		if !trusted && p.cfg.IdentityHeader != "" {
			r.Header.Del(p.cfg.IdentityHeader)
		}
		if len(hops) > 0 {
			p.believe(r, hops)
		}
		h.ServeHTTP(w, r)
	})
}

// says tells whether there is anything to judge: most requests have nothing.
func (p proxies) says(h http.Header) bool {
	for _, name := range headersX {
		if _, ok := h[name]; ok {
			return true
		}
	}
	_, forwarded := h["Forwarded"]
	_, via := h["Via"]
	return forwarded || via || p.cfg.IdentityHeader != "" && h.Get(p.cfg.IdentityHeader) != ""
}

// believe takes the client's address: the right-most that is no trusted proxy.
// What stands left of it is what that one says of itself.
func (p proxies) believe(r *http.Request, hops []hop) {
	at := len(hops) - 1
	for ; at >= 0; at-- {
		addr, err := parseNode(hops[at].from)
		if err != nil {
			break // a name that hides an address: nobody further left can be believed
		}
		r.RemoteAddr = net.JoinHostPort(addr.String(), "0")
		if !p.trusts(addr) {
			break
		}
	}
	nearest := hops[len(hops)-1]
	if at >= 0 {
		nearest = hops[at]
	}
	if nearest.proto == "https" || nearest.proto == "http" {
		r.Header["X-Forwarded-Proto"] = []string{nearest.proto}
	}
	if nearest.host != "" && !strings.ContainsAny(nearest.host, "/\\@ ?#") {
		r.Host = nearest.host
	}
}

// hops are in the order in which the request passed them.
func (p proxies) hops(h http.Header) (hops []hop) {
	if p.cfg.Forwarded == settings.ForwardedRFC {
		return parseForwarded(h["Forwarded"])
	}
	if p.cfg.Forwarded != settings.ForwardedX {
		return nil
	}
	for _, line := range h["X-Forwarded-For"] {
		for from := range strings.SplitSeq(line, ",") {
			hops = append(hops, hop{from: strings.TrimSpace(from)})
		}
	}
	if len(hops) == 0 {
		hops = []hop{{from: "unknown"}} // a proxy that says only how
	}
	for i := range hops { // they are said once, by the nearest
		hops[i].proto, hops[i].host = lastOf(h["X-Forwarded-Proto"]), lastOf(h["X-Forwarded-Host"])
	}
	return hops
}

// lastOf is the right-most entry of a list that may stand on several lines.
func lastOf(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	list := strings.Split(lines[len(lines)-1], ",")
	return strings.ToLower(strings.TrimSpace(list[len(list)-1]))
}

// parseForwarded reads RFC 7239. An element that is not understood hides what
// stands left of it.
func parseForwarded(lines []string) (hops []hop) {
	for _, line := range lines {
		for _, element := range splitQuoted(line, ',') {
			var e hop
			for _, pair := range splitQuoted(element, ';') {
				name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
				value = unquote(strings.TrimSpace(value))
				switch strings.ToLower(strings.TrimSpace(name)) {
				case "for":
					e.from = value
				case "proto":
					e.proto = strings.ToLower(value)
				case "host":
					e.host = value
				}
			}
			hops = append(hops, e)
		}
	}
	return hops
}

// splitQuoted splits at separators that do not stand in quotes.
func splitQuoted(s string, separator byte) (parts []string) {
	quoted, begin := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts = append(parts, s[begin:i])
			begin = i + 1
		}
	}
	return append(parts, s[begin:])
}

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parseNode reads an address as proxies write it: with or without a port, and
// IPv6 in brackets or bare.
func parseNode(text string) (netip.Addr, error) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap(), nil
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return addr.Unmap(), err
}
