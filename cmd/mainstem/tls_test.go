package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mainstem/settings"
	"mainstem/test/harness"
)

// authority signs certificates for these tests.
type authority struct {
	*harness.Authority
	t *testing.T
}

func newAuthority(t *testing.T) *authority { return &authority{harness.NewAuthority(t), t} }

// issue makes a certificate for loopback, good for servers and clients.
func (a *authority) issue() (certPEM, keyPEM []byte) { return a.Issue(nil, "127.0.0.1") }

func (a *authority) pair() tls.Certificate {
	pair, err := tls.X509KeyPair(a.issue())
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// client trusts the authority.
func (a *authority) client(change func(*tls.Config)) *http.Client {
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AddCert(a.Cert)
	if change != nil {
		change(c)
	}
	t := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	a.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: readyWithin}
}

// tlsDir holds a node's files.
type tlsDir struct{ cert, key, ca string }

func newTLSDir(t *testing.T, a *authority) tlsDir {
	dir := t.TempDir()
	d := tlsDir{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")}
	d.write(t, a)
	if err := os.WriteFile(d.ca, a.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d tlsDir) write(t *testing.T, a *authority) {
	cert, key := a.issue()
	for path, content := range map[string][]byte{d.cert: cert, d.key: key} {
		if err := os.WriteFile(path+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

func (d tlsDir) args(mode string, more ...string) []string {
	args := append([]string{"--transport-mode=" + mode, "--tls-cert=" + d.cert, "--tls-key=" + d.key}, more...)
	if mode == settings.ModeMTLS {
		args = append(args, "--tls-client-ca="+d.ca)
	}
	return args
}

func TestWhoConnectsOverTLSAndHow(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	dir := newTLSDir(t, ours)
	show := func(a *authority) func(*tls.Config) {
		return func(c *tls.Config) { c.Certificates = []tls.Certificate{a.pair()} }
	}
	shown := func(a *authority, change func(*x509.Certificate)) func(*tls.Config) {
		return func(c *tls.Config) {
			pair, err := tls.X509KeyPair(a.Issue(change, "127.0.0.1"))
			if err != nil {
				t.Fatal(err)
			}
			// Not by c.Certificates, of which a client sends none that it sees unfit.
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
	}
	type try struct {
		change func(*tls.Config)
		want   string // the protocol, or what the error says
	}
	for name, node := range map[string]struct {
		args  []string
		tries map[string]try
	}{
		"tls, HTTP/1.1": {dir.args(settings.ModeTLS), map[string]try{
			"plain":            {nil, "HTTP/1.1 TLS 1.3"},
			"1.2":              {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "HTTP/1.1 TLS 1.2"},
			"1.1":              {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 }, "protocol version"},
			"another's server": {func(c *tls.Config) { c.RootCAs = x509.NewCertPool() }, "unknown authority"},
		}},
		"tls 1.3, HTTP/2": {dir.args(settings.ModeTLS, "--http-versions=http1,http2", "--tls-min-version=1.3"), map[string]try{
			"plain": {nil, "HTTP/2.0 TLS 1.3"},
			"1.2":   {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "protocol version"},
		}},
		"at most 1.2": {dir.args(settings.ModeTLS, "--tls-max-version=1.2"), map[string]try{
			"plain": {nil, "HTTP/1.1 TLS 1.2"},
		}},
		"mtls": {dir.args(settings.ModeMTLS), map[string]try{
			"without":           {nil, "certificate required"},
			"trusted":           {show(ours), "HTTP/1.1 TLS 1.3"},
			"untrusted":         {show(others), "certificate"},
			"ended":             {shown(ours, func(c *x509.Certificate) { c.NotAfter = c.NotBefore }), "expired certificate"},
			"for servers alone": {shown(ours, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), "bad certificate"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, base := dev(t, node.args...)
			for name, try := range node.tries {
				res, err := ours.client(try.change).Get(base + "/none")
				got := ""
				if err != nil {
					got = err.Error()
				} else {
					res.Body.Close()
					got = res.Proto + " " + tls.VersionName(res.TLS.Version)
				}
				if !strings.Contains(got, try.want) {
					t.Errorf("%s: got %q, want %q", name, got, try.want)
				}
			}
		})
	}
}

// TestLiveReadsOverEveryTransport: an SSE reader sees what is appended, also over
// HTTP/2, with TLS and without.
func TestLiveReadsOverEveryTransport(t *testing.T) {
	a := newAuthority(t)
	h2c := &http.Transport{Protocols: new(http.Protocols)}
	h2c.Protocols.SetUnencryptedHTTP2(true)
	for name, c := range map[string]struct {
		args   []string
		client *http.Client
		proto  string
	}{
		"http":          {nil, http.DefaultClient, "HTTP/1.1"},
		"tls":           {newTLSDir(t, a).args(settings.ModeTLS), a.client(nil), "HTTP/1.1"},
		"tls, HTTP/2":   {newTLSDir(t, a).args(settings.ModeTLS, "--http-versions=http2,http1"), a.client(nil), "HTTP/2.0"},
		"HTTP/2, clear": {[]string{"--http-versions=http1,h2c"}, &http.Client{Transport: h2c}, "HTTP/2.0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, base := dev(t, c.args...)
			send(t, c.client, http.MethodPut, base+"/s", "", 201)
			res, err := c.client.Get(base + "/s?offset=-1&live=sse")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.Proto != c.proto {
				t.Fatalf("got %s, want %s", res.Proto, c.proto)
			}
			send(t, c.client, http.MethodPost, base+"/s", "over-"+c.proto, 204)
			lines := bufio.NewScanner(res.Body)
			for lines.Scan() {
				if strings.Contains(lines.Text(), "over-"+c.proto) {
					return
				}
			}
			t.Fatalf("the append did not come: %v", lines.Err())
		})
	}
}

func send(t *testing.T, c *http.Client, method, url, body string, want int) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != want {
		t.Fatalf("%s %s: got %s, want %d", method, url, res.Status, want)
	}
}

// TestCertificatesAreRenewedUnderLoadWithoutADroppedRequest also leaves the files
// unsound for a while.
func TestCertificatesAreRenewedUnderLoadWithoutADroppedRequest(t *testing.T) {
	a := newAuthority(t)
	dir := newTLSDir(t, a)
	p, base := dev(t, append(dir.args(settings.ModeTLS), "--log-level=info")...)
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	var answered atomic.Int64
	for range 8 {
		client := a.client(nil)
		client.Transport.(*http.Transport).DisableKeepAlives = true // a handshake for each
		done.Go(func() {
			for ctx.Err() == nil {
				res, err := client.Get(base + "/none")
				if err != nil {
					t.Errorf("dropped: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				answered.Add(1)
			}
		})
	}
	serial := func() string {
		conn, err := tls.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(base, "https://"), "/v1/stream"), a.client(nil).Transport.(*http.Transport).TLSClientConfig)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	if err := os.WriteFile(dir.key, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the unsound key is told", func() bool { return strings.Contains(p.stderr.String(), "not sound") })
	if got := serial(); got != before {
		t.Errorf("with an unsound key: got certificate %s, want the last sound one, %s", got, before)
	}
	dir.write(t, a)
	eventually(t, "the new certificate is shown", func() bool { return serial() != before })
	stop()
	done.Wait()
	t.Logf("%d requests answered, each with a handshake of its own", answered.Load())
	if strings.Contains(p.stderr.String(), "PRIVATE KEY") {
		t.Error("a key is in the log")
	}
}

// TestAClientOfHTTP1IsServedBesideHTTP2 settles what is spoken by ALPN.
func TestAClientOfHTTP1IsServedBesideHTTP2(t *testing.T) {
	a := newAuthority(t)
	_, base := dev(t, newTLSDir(t, a).args(settings.ModeTLS, "--http-versions=http1,http2")...)
	client := a.client(nil)
	old := client.Transport.(*http.Transport)
	old.Protocols = new(http.Protocols)
	old.Protocols.SetHTTP1(true)
	res, err := client.Get(base + "/none")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.Proto != "HTTP/1.1" {
		t.Fatalf("got %s", res.Proto)
	}
}

// TestWhatIsSpokenIsAgreedOnByALPN, and where nothing is there is no connection.
func TestWhatIsSpokenIsAgreedOnByALPN(t *testing.T) {
	a := newAuthority(t)
	const none = "no application protocol"
	for versions, tries := range map[string]map[string]string{ // what a client offers: what comes of it
		"http1":       {"http/1.1": "http/1.1", "h2,http/1.1": "http/1.1", "h2": none, "spdy/3": none, "": ""},
		"http1,http2": {"http/1.1,h2": "h2", "http/1.1": "http/1.1", "h2": "h2", "spdy/3": none, "": ""},
		"http2":       {"h2,http/1.1": "h2", "spdy/3": none, "http/1.1": ""}, // the last for the sake of old clients; see below
	} {
		_, base := dev(t, newTLSDir(t, a).args(settings.ModeTLS, "--http-versions="+versions)...)
		addr := strings.TrimSuffix(strings.TrimPrefix(base, "https://"), "/v1/stream")
		for offered, want := range tries {
			config := a.client(nil).Transport.(*http.Transport).TLSClientConfig.Clone()
			if config.NextProtos = nil; offered != "" {
				config.NextProtos = strings.Split(offered, ",")
			}
			got := ""
			conn, err := tls.Dial("tcp", addr, config)
			if err == nil {
				got = conn.ConnectionState().NegotiatedProtocol
				conn.Close()
			} else if strings.Contains(err.Error(), none) {
				got = none
			}
			if got != want {
				t.Errorf("%s, offered %q: got %q, %v; want %q", versions, offered, got, err, want)
			}
		}
		if versions == "http2" {
			client := a.client(nil)
			old := client.Transport.(*http.Transport)
			old.Protocols = new(http.Protocols)
			old.Protocols.SetHTTP1(true)
			if res, err := client.Get(base + "/none"); err == nil {
				res.Body.Close()
				t.Errorf("HTTP/1.1 was spoken with a server of HTTP/2 alone: %s", res.Status)
			}
		}
	}
}

func TestUnsoundCertificatesStopTheStartInTheirPhase(t *testing.T) {
	a := newAuthority(t)
	for name, c := range map[string]struct {
		spoil func(tlsDir)
		want  string
	}{
		"no key":            {func(d tlsDir) { os.Remove(d.key) }, "[check_tls_files] transport.tls.key_path: open"},
		"no PEM":            {func(d tlsDir) { os.WriteFile(d.cert, []byte("x"), 0o600) }, "[build_tls_context] transport.tls.cert_path"},
		"another's key":     {func(d tlsDir) { _, key := a.issue(); os.WriteFile(d.key, key, 0o600) }, "[build_tls_context] transport.tls.cert_path"},
		"no authority's":    {func(d tlsDir) { os.WriteFile(d.ca, []byte("x"), 0o600) }, "[build_tls_context] transport.tls.client_ca_path"},
		"no authority file": {func(d tlsDir) { os.Remove(d.ca) }, "[check_tls_files] transport.tls.client_ca_path: open"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newTLSDir(t, a)
			c.spoil(dir)
			p := launch(t, append([]string{"dev", "--addr=127.0.0.1:0"}, dir.args(settings.ModeMTLS)...)...)
			if code := p.exit(); code != 1 || !strings.HasPrefix(p.stderr.String(), c.want) {
				t.Fatalf("exit %d, %q; want 1 and %q", code, p.stderr.String(), c.want)
			}
		})
	}
}
