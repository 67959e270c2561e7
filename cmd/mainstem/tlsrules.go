package main

import (
	"crypto/tls"
	"fmt"
	"slices"
)

// rules judges the section, and fills in what follows from the rest of it.
func (t *tlsConfig) rules() (problems []error) {
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	rule(len(t.versions) > 0, "transport.http.versions (--http-versions): none is named")
	rule(t.minVersion <= t.maxVersion, "transport.tls.min_version (--tls-min-version): %s is above transport.tls.max_version, %s", t.minVersion, t.maxVersion)
	if t.mode == modeHTTP {
		rule(!slices.Contains(t.versions, http2), "transport.http.versions (--http-versions): http2 needs transport.mode tls or mtls; h2c is HTTP/2 without TLS")
		for name, set := range map[string]bool{"cert_path (--tls-cert)": t.certPath != "", "key_path (--tls-key)": t.keyPath != "",
			"client_ca_path (--tls-client-ca)": t.clientCA != "", "alpn_protocols (--tls-alpn)": len(t.alpn) > 0} {
			rule(!set, "transport.tls.%s: transport.mode is http; set it to tls or mtls", name)
		}
		slices.SortFunc(problems, compareErrors)
		return problems
	}
	rule(!slices.Contains(t.versions, h2c), "transport.http.versions (--http-versions): h2c needs transport.mode http; with TLS it is http2")
	rule(t.certPath != "", "transport.tls.cert_path (--tls-cert): transport.mode %s needs a certificate", t.mode)
	rule(t.keyPath != "", "transport.tls.key_path (--tls-key): transport.mode %s needs the certificate's key", t.mode)
	rule(t.mode != modeMTLS || t.clientCA != "", "transport.tls.client_ca_path (--tls-client-ca): transport.mode mtls needs the authorities of the clients' certificates")
	rule(t.mode != modeTLS || t.clientCA == "", "transport.tls.client_ca_path (--tls-client-ca): transport.mode tls asks clients for no certificate; set it to mtls")
	if len(t.alpn) == 0 {
		t.alpn = t.alpnOfVersions()
	}
	for protocol, version := range map[string]string{alpnHTTP1: http1, alpnHTTP2: http2} {
		offered, spoken := slices.Contains(t.alpn, protocol), slices.Contains(t.versions, version)
		rule(!offered || spoken, "transport.tls.alpn_protocols (--tls-alpn): %s is offered, but transport.http.versions has no %s", protocol, version)
		rule(offered || !spoken, "transport.tls.alpn_protocols (--tls-alpn): %s is not offered, though transport.http.versions has %s", protocol, version)
	}
	slices.SortFunc(problems, compareErrors)
	return problems
}

// alpnOfVersions prefers HTTP/2.
func (t *tlsConfig) alpnOfVersions() (alpn []string) {
	if slices.Contains(t.versions, http2) {
		alpn = append(alpn, alpnHTTP2)
	}
	if slices.Contains(t.versions, http1) {
		alpn = append(alpn, alpnHTTP1)
	}
	return alpn
}

// tlsVersion is a version as crypto/tls numbers it.
func tlsVersion(name string) uint16 {
	if name == "1.3" {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}
