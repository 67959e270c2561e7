package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mainstem/test/harness"
)

// TestANodeWithTLSForPeersTellsWhenItsCertificateEnds, and one with a certificate
// that the others would refuse does not start.
func TestANodeWithTLSForPeersTellsWhenItsCertificateEnds(t *testing.T) {
	ca, other := harness.NewAuthority(t), harness.NewAuthority(t)
	for name, c := range map[string]struct {
		names  []string
		trusts *harness.Authority
		spoil  func(harness.Credentials)
		want   string // how stderr begins; "" when it starts
	}{
		"sound":             {names: []string{"a"}, trusts: ca},
		"another name":      {names: []string{"b"}, trusts: ca, want: "[build_tls_context] cluster.tls.cert_path"},
		"another authority": {names: []string{"a"}, trusts: other, want: "[build_tls_context] cluster.tls.cert_path"},
		"no key": {names: []string{"a"}, trusts: ca, want: "[check_tls_files] cluster.tls.key_path: open",
			spoil: func(f harness.Credentials) { os.Remove(f.Key) }},
	} {
		t.Run(name, func(t *testing.T) {
			f := harness.CredentialsIn(t, filepath.Join(t.TempDir(), "tls"))
			cert, key := ca.Issue(nil, c.names...)
			f.Write(t, cert, key, c.trusts.PEM())
			if c.spoil != nil {
				c.spoil(f)
			}
			p := launch(t, "serve", "--node-id=a", "--data-dir="+t.TempDir(), "--addr=127.0.0.1:0", "--peer-addr=127.0.0.1:0", "--gossip-addr=127.0.0.1:0",
				"--peer-tls=required", "--peer-tls-cert="+f.Cert, "--peer-tls-key="+f.Key, "--peer-tls-ca="+f.CA)
			if c.want != "" {
				if code := p.exit(); code != 1 || !strings.HasPrefix(p.stderr.String(), c.want) {
					t.Fatalf("exit %d, %q; want 1 and %q", code, p.stderr.String(), c.want)
				}
				return
			}
			var addr []string
			eventually(t, "ready", func() bool {
				addr = regexp.MustCompile(`msg=ready .*clients=(\S+)`).FindStringSubmatch(p.stderr.String())
				return addr != nil
			})
			if _, body := get(t, "http://"+addr[1]+"/metrics"); !strings.Contains(body, `mainstem_certificate_expiry_timestamp_seconds{use="peers"} 1.`) {
				t.Error("the metrics do not say when the certificate ends")
			}
		})
	}
}
