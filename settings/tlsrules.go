package settings

import (
	"crypto/tls"
	"fmt"
	"slices"
)

// rules judges the section, and fills in what follows from the rest of it.
func (t *TLS) rules() (problems []error) {
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	rule(len(t.versions) > 0, "transport.http.versions (--http-versions): none is named")
	rule(t.MinVersion <= t.MaxVersion, "transport.tls.min_version (--tls-min-version): %s is above transport.tls.max_version, %s", t.MinVersion, t.MaxVersion)
	if t.Mode == ModeHTTP {
		rule(!slices.Contains(t.versions, HTTP2), "transport.http.versions (--http-versions): http2 needs transport.mode tls or mtls; h2c is HTTP/2 without TLS")
		for name, set := range map[string]bool{"cert_path (--tls-cert)": t.CertPath != "", "key_path (--tls-key)": t.KeyPath != "",
			"client_ca_path (--tls-client-ca)": t.ClientCA != "", "alpn_protocols (--tls-alpn)": len(t.ALPN) > 0} {
			rule(!set, "transport.tls.%s: transport.mode is http; set it to tls or mtls", name)
		}
		slices.SortFunc(problems, compareErrors)
		return problems
	}
	rule(!slices.Contains(t.versions, H2C), "transport.http.versions (--http-versions): h2c needs transport.mode http; with TLS it is http2")
	rule(t.CertPath != "", "transport.tls.cert_path (--tls-cert): transport.mode %s needs a certificate", t.Mode)
	rule(t.KeyPath != "", "transport.tls.key_path (--tls-key): transport.mode %s needs the certificate's key", t.Mode)
	rule(t.Mode != ModeMTLS || t.ClientCA != "", "transport.tls.client_ca_path (--tls-client-ca): transport.mode mtls needs the authorities of the clients' certificates")
	rule(t.Mode != ModeTLS || t.ClientCA == "", "transport.tls.client_ca_path (--tls-client-ca): transport.mode tls asks clients for no certificate; set it to mtls")
	if len(t.ALPN) == 0 {
		t.ALPN = t.alpnOfVersions()
	}
	for protocol, version := range map[string]string{alpnHTTP1: HTTP1, alpnHTTP2: HTTP2} {
		offered, spoken := slices.Contains(t.ALPN, protocol), slices.Contains(t.versions, version)
		rule(!offered || spoken, "transport.tls.alpn_protocols (--tls-alpn): %s is offered, but transport.http.versions has no %s", protocol, version)
		rule(offered || !spoken, "transport.tls.alpn_protocols (--tls-alpn): %s is not offered, though transport.http.versions has %s", protocol, version)
	}
	slices.SortFunc(problems, compareErrors)
	return problems
}

// alpnOfVersions prefers HTTP/2.
func (t *TLS) alpnOfVersions() (alpn []string) {
	if slices.Contains(t.versions, HTTP2) {
		alpn = append(alpn, alpnHTTP2)
	}
	if slices.Contains(t.versions, HTTP1) {
		alpn = append(alpn, alpnHTTP1)
	}
	return alpn
}

// TLSVersion is a version as crypto/tls numbers it.
func TLSVersion(name string) uint16 {
	if name == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}
