package settings

import (
	"net/http"
	"slices"
)

// What transport.mode may be.
const (
	ModeHTTP = "http"
	ModeTLS  = "tls"
	ModeMTLS = "mtls"
)

// What transport.http.versions may hold.
const (
	HTTP1 = "http1"
	HTTP2 = "http2"
	H2C   = "h2c" // HTTP/2 without TLS, by prior knowledge
)

// The names of ALPN.
const (
	alpnHTTP1 = "http/1.1"
	alpnHTTP2 = "h2"
)

func tlsSettings() []setting {
	return []setting{
		{key: "transport.mode", flag: "transport-mode", std: ModeHTTP,
			value: choice(func(c *Config) *string { return &c.TLS.Mode }, ModeHTTP, ModeTLS, ModeMTLS),
			usage: "how clients connect: http, tls, or mtls, for which they need a certificate"},
		{key: "transport.http.versions", flag: "http-versions", std: HTTP1,
			value: someOf(func(c *Config) *[]string { return &c.TLS.versions }, HTTP1, HTTP2, H2C),
			usage: "what is spoken; http2 needs tls or mtls, h2c (HTTP/2 without TLS, for a proxy) needs http"},
		{key: "transport.tls.cert_path", flag: "tls-cert",
			value: text(func(c *Config) *string { return &c.TLS.CertPath }),
			usage: "PEM file of the certificate, the chain after it; read again when it changes"},
		{key: "transport.tls.key_path", flag: "tls-key",
			value: text(func(c *Config) *string { return &c.TLS.KeyPath }),
			usage: "PEM file of the certificate's key"},
		{key: "tls.cert_path", alias: "transport.tls.cert_path", legacy: true, value: sameText(),
			usage: "the Rust server's older name of transport.tls.cert_path"},
		{key: "tls.key_path", alias: "transport.tls.key_path", legacy: true, value: sameText(),
			usage: "the Rust server's older name of transport.tls.key_path"},
		{key: "transport.tls.client_ca_path", flag: "tls-client-ca",
			value: text(func(c *Config) *string { return &c.TLS.ClientCA }),
			usage: "PEM file of the authorities whose certificates clients may show; mtls needs it, tls forbids it"},
		{key: "transport.tls.min_version", flag: "tls-min-version", std: "1.2",
			value: choice(func(c *Config) *string { return &c.TLS.MinVersion }, "1.2", "1.3"),
			usage: "the lowest version of TLS"},
		{key: "transport.tls.max_version", flag: "tls-max-version", std: "1.3",
			value: choice(func(c *Config) *string { return &c.TLS.MaxVersion }, "1.2", "1.3"),
			usage: "the highest version of TLS"},
		{key: "transport.tls.alpn_protocols", flag: "tls-alpn",
			value: someOf(func(c *Config) *[]string { return &c.TLS.ALPN }, alpnHTTP2, alpnHTTP1),
			usage: "what is offered by ALPN, which must agree with transport.http.versions; follows from it when not given"},
	}
}

// sameText is an older name whose values are written alike.
func sameText() value {
	return value{kind: "text", rewrite: func(text string) (string, error) { return text, nil }}
}

// Protocols is what the server of the clients speaks.
func (t TLS) Protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(slices.Contains(t.versions, HTTP1))
	p.SetHTTP2(slices.Contains(t.versions, HTTP2))
	p.SetUnencryptedHTTP2(slices.Contains(t.versions, H2C))
	return p
}

// Scheme is that of the clients' URLs.
func (t TLS) Scheme() string {
	if t.Mode == ModeHTTP {
		return "http"
	}
	return "https"
}
