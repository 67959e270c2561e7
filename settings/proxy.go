package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

func proxySettings() []setting {
	return []setting{
		{key: "proxy.enabled", flag: "proxy", std: "false",
			value: flag(func(c *Config) *bool { return &c.Proxy.Enabled }),
			usage: "believe what trusted proxies say about the way a request came"},
		{key: "proxy.forwarded_headers", flag: "proxy-headers", std: ForwardedNone,
			value: choice(func(c *Config) *string { return &c.Proxy.Forwarded }, ForwardedNone, ForwardedX, ForwardedRFC),
			usage: "the headers by which they say it: X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239). Of the others, and from anyone else, they are dropped"},
		{key: "proxy.trusted_proxies", flag: "trusted-proxies",
			value: prefixes(func(c *Config) *[]string { return &c.Proxy.Trusted }),
			usage: "addresses and ranges of trusted proxies. The client is the right-most address that is none of them"},
		{key: "proxy.identity.mode", flag: "proxy-identity", std: ForwardedNone,
			value: choice(func(c *Config) *string { return &c.Proxy.identity }, ForwardedNone, "header"),
			usage: "whether they name the client in a header, which an authorisation service sees; needs transport.mode mtls"},
		{key: "proxy.identity.header_name", flag: "proxy-identity-header",
			value: headerName(func(c *Config) *string { return &c.Proxy.IdentityHeader }),
			usage: "that header; dropped from anyone else"},
		{key: "proxy.identity.require_tls", flag: "proxy-identity-require-tls", std: "true",
			value: flag(func(c *Config) *bool { return &c.Proxy.requireTLS }),
			usage: "taken from the Rust server's files; a header is believed over mtls only, whatever it says"},
	}
}

// Proxy is what is believed of proxies.
type Proxy struct {
	Enabled        bool
	Forwarded      string
	Trusted        []string
	identity       string
	IdentityHeader string
	requireTLS     bool
}

// rules judges the section.
func (p Proxy) rules(mode string) (problems []error) {
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	if !p.Enabled {
		rule(len(p.Trusted) == 0, "proxy.trusted_proxies (--trusted-proxies): proxy.enabled is false; set it, or name none")
		rule(p.Forwarded == ForwardedNone, "proxy.forwarded_headers (--proxy-headers): proxy.enabled is false; set it, or say none")
		rule(p.identity == ForwardedNone, "proxy.identity.mode (--proxy-identity): proxy.enabled is false; set it, or say none")
		rule(p.IdentityHeader == "", "proxy.identity.header_name (--proxy-identity-header): proxy.enabled is false; set it, or name none")
		return problems
	}
	rule(p.Forwarded != ForwardedNone, "proxy.forwarded_headers (--proxy-headers): proxy.enabled needs x-forwarded or forwarded")
	rule(len(p.Trusted) > 0, "proxy.trusted_proxies (--trusted-proxies): proxy.enabled needs the addresses of the proxies")
	if p.identity == ForwardedNone {
		rule(p.IdentityHeader == "", "proxy.identity.header_name (--proxy-identity-header): proxy.identity.mode is none; set it to header")
		return problems
	}
	rule(mode == ModeMTLS, "proxy.identity.mode (--proxy-identity): header needs transport.mode mtls, so that only the proxy can set it")
	rule(p.IdentityHeader != "", "proxy.identity.header_name (--proxy-identity-header): proxy.identity.mode header needs its name")
	return problems
}

// prefixes is a comma-separated list of addresses and ranges.
func prefixes(field func(*Config) *[]string) value {
	return value{kind: "CIDR,…", list: true, put: func(c *Config, s string) error {
		var list []string
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			if _, err := ParsePrefix(part); err != nil {
				return fmt.Errorf("%q is neither an address nor a range like 10.0.0.0/24", part)
			}
			list = append(list, part)
		}
		*field(c) = list
		return nil
	}}
}

// headerName is the name of one HTTP header.
func headerName(field func(*Config) *string) value {
	names := headerNames(func(c *Config) *[]string { return new([]string) })
	return value{kind: "HEADER", put: func(c *Config, s string) error {
		if strings.Contains(s, ",") {
			return errors.New("one header is wanted")
		}
		if err := names.put(c, s); err != nil {
			return err
		}
		*field(c) = s
		return nil
	}}
}

// What proxy.forwarded_headers may be.
const (
	ForwardedNone = "none"
	ForwardedX    = "x-forwarded"
	ForwardedRFC  = "forwarded" // RFC 7239
)

// ParsePrefix reads an address, or a range of them.
func ParsePrefix(text string) (netip.Prefix, error) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Masked(), nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}
