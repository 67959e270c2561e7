package peertls

import (
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// verify wants a chain from the certificate to an authority that this node
// trusts, good for what it is used for, now.
func (m *material) verify(chain []*x509.Certificate, usage x509.ExtKeyUsage, now time.Time) error {
	if len(chain) == 0 {
		return errNoCertificate
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: m.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return fmt.Errorf("the certificate of %s: %w", named(chain[0]), err)
	}
	return nil
}

// fits wants one of a node's names in the certificate, among the subject
// alternative names: its id, or a host by which it is dialled.
func fits(c *x509.Certificate, id string, hosts ...string) error {
	var names []string
	for _, name := range append([]string{id}, hosts...) {
		if name == "" || slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
		if c.VerifyHostname(name) == nil {
			return nil
		}
	}
	return fmt.Errorf("the certificate of %s is for none of the names of this node: %s", named(c), strings.Join(names, ", "))
}

// named lists what a certificate says of its owner.
func named(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return fmt.Sprintf("%q, which has no alternative name,", c.Subject.String())
	}
	return strings.Join(names, ", ")
}

// hostOf is the host of HOST:PORT.
func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}
