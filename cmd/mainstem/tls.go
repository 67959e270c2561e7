package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/fresh"
	"mainstem/phase"
	"mainstem/settings"
)

// keychain holds what a handshake needs, as it was when the files were last
// sound.
type keychain struct {
	cfg     settings.TLS
	log     *slog.Logger
	current atomic.Pointer[tls.Config]
	files   *fresh.Files

	metrics certificateMetrics
}

// newKeychain reads the files. It returns nil when clients connect without TLS.
func newKeychain(cfg settings.TLS, log *slog.Logger, r prometheus.Registerer) (*keychain, error) {
	if cfg.Mode == settings.ModeHTTP {
		return nil, nil
	}
	k := &keychain{cfg: cfg, log: log, metrics: newCertificateMetrics(r, forClients)}
	files := []fresh.File{{Name: "transport.tls.cert_path", Path: cfg.CertPath}, {Name: "transport.tls.key_path", Path: cfg.KeyPath}}
	if cfg.Mode == settings.ModeMTLS {
		files = append(files, fresh.File{Name: "transport.tls.client_ca_path", Path: cfg.ClientCA})
	}
	var err error
	k.files, err = fresh.Open(fresh.Config{Files: files, Take: k.take, Taken: k.taken, Refused: k.refused})
	var unread *fresh.ReadError
	switch {
	case errors.As(err, &unread):
		return nil, phase.TLSFiles.In(err)
	case err != nil:
		return nil, phase.TLS.In(err)
	}
	return k, nil
}

// take makes the content of the files what the next handshake uses.
func (k *keychain) take(content [][]byte) error {
	pair, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return fmt.Errorf("transport.tls.cert_path %s and key_path %s: %w", k.cfg.CertPath, k.cfg.KeyPath, err)
	}
	c := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   settings.TLSVersion(k.cfg.MinVersion),
		MaxVersion:   settings.TLSVersion(k.cfg.MaxVersion),
		NextProtos:   k.cfg.ALPN,
	}
	if k.cfg.Mode == settings.ModeMTLS {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(content[2]) {
			return fmt.Errorf("transport.tls.client_ca_path %s: no certificate in it", k.cfg.ClientCA)
		}
	}
	k.metrics.expiry.Set(float64(pair.Leaf.NotAfter.Unix()))
	k.current.Store(c)
	return nil
}

// serverConfig is what a listener is given: each handshake takes the newest.
func (k *keychain) serverConfig() *tls.Config {
	return &tls.Config{
		MinVersion:         settings.TLSVersion(k.cfg.MinVersion),
		NextProtos:         k.cfg.ALPN,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return k.current.Load(), nil },
	}
}

// run reads the files again whenever they change, until ctx ends. What is not
// sound is told once and leaves the last sound ones in use: certificate and key
// are often written one after the other.
func (k *keychain) run(ctx context.Context) { k.files.Run(ctx) }

func (k *keychain) taken() {
	k.metrics.reloads.WithLabelValues("taken").Inc()
	k.log.Info("certificate files read again", "cert", k.cfg.CertPath, "until", k.current.Load().Certificates[0].Leaf.NotAfter)
}

func (k *keychain) refused(err error) {
	k.metrics.reloads.WithLabelValues("refused").Inc()
	k.log.Error("changed certificate files are not sound; the last sound ones stay in use", "err", err)
}
