package peertls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/fresh"
)

// Guard holds this node's certificate and the authorities it trusts, as they were
// when the files were last sound.
type Guard struct {
	cfg     Config
	files   *fresh.Files
	current atomic.Pointer[material]
	teller  teller
	conns   *prometheus.CounterVec
}

// material is what one handshake works with.
type material struct {
	pair  tls.Certificate
	roots *x509.CertPool
}

// Open reads the files. Of an error a *fresh.ReadError says that they could not be
// read; any other that what they hold will not do.
func Open(cfg Config) (*Guard, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	g := &Guard{cfg: cfg.withDefaults()}
	g.teller.now = g.cfg.Now
	g.conns = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mainstem_peer_connections_total",
		Help: "Connections with other nodes, by who dialled and by what was proven. In mode required there are only verified and refused ones.",
	}, []string{"direction", "security"})
	for _, direction := range []string{incoming, outgoing} {
		for _, security := range []string{plain, unverified, verified, refused} {
			g.conns.WithLabelValues(direction, security)
		}
	}
	var err error
	g.files, err = fresh.Open(fresh.Config{
		Files: []fresh.File{
			{Name: "cluster.tls.cert_path", Path: cfg.CertPath},
			{Name: "cluster.tls.key_path", Path: cfg.KeyPath},
			{Name: "cluster.tls.ca_path", Path: cfg.CAPath},
		},
		Take: g.take,
		Taken: func() {
			g.cfg.Log.Info("certificate files for other nodes read again", "cert", cfg.CertPath, "until", g.current.Load().pair.Leaf.NotAfter)
		},
		Refused: func(err error) {
			g.cfg.Log.Error("changed certificate files for other nodes are not sound; the last sound ones stay in use", "err", err)
			if cfg.Refused != nil {
				cfg.Refused(err)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return g, g.cfg.Metrics.Register(g.conns)
}

// Run reads the files again when they change, until ctx ends. Connections that
// are there stay; the next handshake uses what was read.
func (g *Guard) Run(ctx context.Context) { g.files.Run(ctx) }

// take makes the content of the files what the next handshake uses. A certificate
// that the other nodes would refuse is refused here, where its owner sees it;
// while nothing is asked of anybody it is only told.
func (g *Guard) take(content [][]byte) error {
	pair, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return fmt.Errorf("cluster.tls.cert_path %s and key_path %s: %w", g.cfg.CertPath, g.cfg.KeyPath, err)
	}
	m := &material{pair: pair, roots: x509.NewCertPool()}
	if !m.roots.AppendCertsFromPEM(content[2]) {
		return fmt.Errorf("cluster.tls.ca_path %s: no certificate in it", g.cfg.CAPath)
	}
	if err := g.checkOwn(m); err != nil {
		if g.cfg.Mode == Required {
			return fmt.Errorf("cluster.tls.cert_path %s: %w", g.cfg.CertPath, err)
		}
		g.cfg.Log.Warn("this node's certificate is one that nodes with cluster.tls.mode = required refuse", "cert", g.cfg.CertPath, "err", err)
	}
	g.current.Store(m)
	g.cfg.Use(pair.Leaf.NotAfter)
	return nil
}

// checkOwn judges this node's certificate as the others will.
func (g *Guard) checkOwn(m *material) error {
	var chain []*x509.Certificate
	for _, der := range m.pair.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		chain = append(chain, c)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if err := m.verify(chain, usage, g.cfg.Now()); err != nil {
			return err
		}
	}
	return fits(m.pair.Leaf, g.cfg.NodeID, g.cfg.Host)
}

// tlsConfig is that of one handshake. The chain is verified by this package, not
// by crypto/tls, because what does not pass is told in a sentence, and taken
// while the mode is permissive; and the name, because a node may go by two.
func (g *Guard) tlsConfig(check func(tls.ConnectionState) error) *tls.Config {
	m := g.current.Load()
	return &tls.Config{
		Certificates:           []tls.Certificate{m.pair},
		MinVersion:             tls.VersionTLS13, // both ends are ours
		ClientAuth:             tls.RequestClientCert,
		InsecureSkipVerify:     true, // see above: VerifyConnection and Proves do it
		VerifyConnection:       check,
		NextProtos:             []string{protocol},
		SessionTicketsDisabled: true, // who resumes a session shows no certificate
	}
}

// protocol keeps a certificate's owner from being taken for a node over another
// protocol, and the other way round.
const protocol = "mainstem-peer"

var errProtocol = errors.New("it does not speak " + protocol + " (ALPN)")

var errNoCertificate = errors.New("it has shown no certificate")
