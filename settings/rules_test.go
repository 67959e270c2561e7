package settings

import (
	"testing"

	"mainstem/test/harness"
)

func TestGossipRules(t *testing.T) {
	harness.InDirWith(t, nil)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"keys and off":    {[]string{"--gossip-keys=k"}, "[validate_config] cluster.gossip_key_path (--gossip-keys): cluster.gossip_encryption is off; set it to accept, send or required"},
		"on without keys": {[]string{"--gossip-encryption=send"}, "[validate_config] cluster.gossip_key_path (--gossip-keys): cluster.gossip_encryption send needs keys"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadAll(t, c.args, nil)
			mustName(t, err, c.want)
		})
	}
}

func TestPeerTLSRules(t *testing.T) {
	harness.InDirWith(t, nil)
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"required without files": {[]string{"--peer-tls=required"}, []string{
			"[validate_config] cluster.tls.cert_path (--peer-tls-cert): cluster.tls.mode required needs it",
			"[validate_config] cluster.tls.key_path (--peer-tls-key): cluster.tls.mode required needs it",
			"[validate_config] cluster.tls.ca_path (--peer-tls-ca): cluster.tls.mode required needs it"}},
		"permissive without an authority": {[]string{"--peer-tls=permissive", "--peer-tls-cert=c", "--peer-tls-key=k"}, []string{"cluster.tls.ca_path (--peer-tls-ca): cluster.tls.mode permissive needs it"}},
		"files and off":                   {[]string{"--peer-tls-cert=c"}, []string{"cluster.tls.cert_path (--peer-tls-cert): cluster.tls.mode is off; set it to permissive or required"}},
		"an unknown mode":                 {[]string{"--peer-tls=on"}, []string{`[load_config] cluster.tls.mode (--peer-tls): "on" is none of off, permissive, required`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadAll(t, c.args, nil)
			mustName(t, err, c.want...)
		})
	}
}

func TestProxyRules(t *testing.T) {
	harness.InDirWith(t, nil)
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"off, but named":    {[]string{"--trusted-proxies=10.0.0.1", "--proxy-headers=forwarded", "--proxy-identity=header", "--proxy-identity-header=X-Id"}, []string{"proxy.trusted_proxies", "proxy.forwarded_headers", "proxy.identity.mode", "proxy.identity.header_name"}},
		"on, but nothing":   {[]string{"--proxy=true"}, []string{"proxy.forwarded_headers (--proxy-headers): proxy.enabled needs", "proxy.trusted_proxies (--trusted-proxies): proxy.enabled needs"}},
		"identity on http":  {[]string{"--proxy=true", "--proxy-headers=forwarded", "--trusted-proxies=10.0.0.1", "--proxy-identity=header"}, []string{"needs transport.mode mtls", "proxy.identity.mode header needs its name"}},
		"a name, but no id": {[]string{"--proxy=true", "--proxy-headers=forwarded", "--trusted-proxies=10.0.0.1", "--proxy-identity-header=X-Id"}, []string{"proxy.identity.mode is none"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadAll(t, c.args, nil)
			mustName(t, err, c.want...)
		})
	}
	if _, err := loadAll(t, []string{"--proxy=true", "--proxy-headers=x-forwarded", "--trusted-proxies=10.0.0.0/8,::1"}, nil); err != nil {
		t.Error(err)
	}
}

func TestTransportRules(t *testing.T) {
	harness.InDirWith(t, nil)
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"tls without files":      {[]string{"--transport-mode=tls"}, []string{"[validate_config] transport.tls.cert_path (--tls-cert)", "[validate_config] transport.tls.key_path (--tls-key)"}},
		"mtls without authority": {[]string{"--transport-mode=mtls", "--tls-cert=c", "--tls-key=k"}, []string{"transport.tls.client_ca_path (--tls-client-ca): transport.mode mtls needs"}},
		"tls with authority":     {[]string{"--transport-mode=tls", "--tls-cert=c", "--tls-key=k", "--tls-client-ca=a"}, []string{"transport.tls.client_ca_path (--tls-client-ca): transport.mode tls asks"}},
		"http with files":        {[]string{"--tls-cert=c", "--tls-alpn=h2"}, []string{"transport.tls.cert_path (--tls-cert): transport.mode is http", "transport.tls.alpn_protocols (--tls-alpn): transport.mode is http"}},
		"http2 without tls":      {[]string{"--http-versions=http2"}, []string{"http2 needs transport.mode tls or mtls"}},
		"h2c with tls":           {[]string{"--transport-mode=tls", "--tls-cert=c", "--tls-key=k", "--http-versions=h2c"}, []string{"h2c needs transport.mode http"}},
		"minimum above maximum":  {[]string{"--tls-min-version=1.3", "--tls-max-version=1.2"}, []string{"1.3 is above transport.tls.max_version, 1.2"}},
		"ALPN that is not spoken": {[]string{"--transport-mode=tls", "--tls-cert=c", "--tls-key=k", "--tls-alpn=h2,http/1.1"},
			[]string{"h2 is offered, but transport.http.versions has no http2"}},
		"spoken but not in ALPN": {[]string{"--transport-mode=tls", "--tls-cert=c", "--tls-key=k", "--http-versions=http1,http2", "--tls-alpn=http/1.1"},
			[]string{"h2 is not offered, though transport.http.versions has http2"}},
		"an unknown version": {[]string{"--http-versions=http3"}, []string{`[load_config] transport.http.versions (--http-versions): "http3" is none of`}},
		"no version":         {[]string{"--http-versions="}, []string{"transport.http.versions (--http-versions): none is named"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadAll(t, c.args, nil)
			mustName(t, err, c.want...)
		})
	}
}
