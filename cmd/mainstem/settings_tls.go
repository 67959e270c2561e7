package main

// What transport.mode may be.
const (
	modeHTTP = "http"
	modeTLS  = "tls"
	modeMTLS = "mtls"
)

// What transport.http.versions may hold.
const (
	http1 = "http1"
	http2 = "http2"
	h2c   = "h2c" // HTTP/2 without TLS, by prior knowledge
)

// The names of ALPN.
const (
	alpnHTTP1 = "http/1.1"
	alpnHTTP2 = "h2"
)

func tlsSettings() []setting {
	return []setting{
		{key: "transport.mode", flag: "transport-mode", std: modeHTTP,
			value: choice(func(c *config) *string { return &c.tls.mode }, modeHTTP, modeTLS, modeMTLS),
			usage: "how clients connect: http, tls, or mtls, for which they need a certificate"},
		{key: "transport.http.versions", flag: "http-versions", std: http1,
			value: someOf(func(c *config) *[]string { return &c.tls.versions }, http1, http2, h2c),
			usage: "what is spoken; http2 needs tls or mtls, h2c (HTTP/2 without TLS, for a proxy) needs http"},
		{key: "transport.tls.cert_path", flag: "tls-cert",
			value: text(func(c *config) *string { return &c.tls.certPath }),
			usage: "PEM file of the certificate, the chain after it; read again when it changes"},
		{key: "transport.tls.key_path", flag: "tls-key",
			value: text(func(c *config) *string { return &c.tls.keyPath }),
			usage: "PEM file of the certificate's key"},
		{key: "tls.cert_path", alias: "transport.tls.cert_path", legacy: true, value: sameText(),
			usage: "the Rust server's older name of transport.tls.cert_path"},
		{key: "tls.key_path", alias: "transport.tls.key_path", legacy: true, value: sameText(),
			usage: "the Rust server's older name of transport.tls.key_path"},
		{key: "transport.tls.client_ca_path", flag: "tls-client-ca",
			value: text(func(c *config) *string { return &c.tls.clientCA }),
			usage: "PEM file of the authorities whose certificates clients may show; mtls needs it, tls forbids it"},
		{key: "transport.tls.min_version", flag: "tls-min-version", std: "1.2",
			value: choice(func(c *config) *string { return &c.tls.minVersion }, "1.2", "1.3"),
			usage: "the lowest version of TLS"},
		{key: "transport.tls.max_version", flag: "tls-max-version", std: "1.3",
			value: choice(func(c *config) *string { return &c.tls.maxVersion }, "1.2", "1.3"),
			usage: "the highest version of TLS"},
		{key: "transport.tls.alpn_protocols", flag: "tls-alpn",
			value: someOf(func(c *config) *[]string { return &c.tls.alpn }, alpnHTTP2, alpnHTTP1),
			usage: "what is offered by ALPN, which must agree with transport.http.versions; follows from it when not given"},
	}
}

// sameText is an older name whose values are written alike.
func sameText() value {
	return value{kind: "text", rewrite: func(text string) (string, error) { return text, nil }}
}
