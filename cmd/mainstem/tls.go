package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// tlsPoll is how often the files are looked at. Their content is compared, not
// their times: a secret that is mounted by symbolic links changes without them.
const tlsPoll = time.Second

// keychain holds what a handshake needs, as it was when the files were last
// sound.
type keychain struct {
	cfg     tlsConfig
	log     *slog.Logger
	current atomic.Pointer[tls.Config]
	read    tlsFiles // of current; run alone changes it

	expiry  prometheus.Gauge
	reloads *prometheus.CounterVec
}

// tlsFiles is the content of the files.
type tlsFiles struct{ cert, key, clientCA []byte }

func (f tlsFiles) equal(g tlsFiles) bool {
	return bytes.Equal(f.cert, g.cert) && bytes.Equal(f.key, g.key) && bytes.Equal(f.clientCA, g.clientCA)
}

// newKeychain reads the files. It returns nil when clients connect without TLS.
func newKeychain(cfg tlsConfig, log *slog.Logger, r prometheus.Registerer) (*keychain, error) {
	if cfg.mode == modeHTTP {
		return nil, nil
	}
	k := &keychain{cfg: cfg, log: log}
	files, err := k.readFiles()
	if err != nil {
		return nil, phaseTLSFiles.in(err)
	}
	k.expiry = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mainstem_certificate_expiry_timestamp_seconds", Help: "When the certificate that clients are shown ends, in Unix time."})
	k.reloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mainstem_certificate_reloads_total", Help: "Changed certificate files, by result: taken or refused."}, []string{"result"})
	k.reloads.WithLabelValues("taken")
	k.reloads.WithLabelValues("refused")
	if err := k.take(files); err != nil {
		return nil, phaseTLS.in(err)
	}
	r.MustRegister(k.expiry, k.reloads)
	return k, nil
}

func (k *keychain) readFiles() (f tlsFiles, err error) {
	read := func(key, path string) []byte {
		content, failed := os.ReadFile(path)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", key, failed))
		}
		return content
	}
	f.cert = read("transport.tls.cert_path", k.cfg.certPath)
	f.key = read("transport.tls.key_path", k.cfg.keyPath)
	if k.cfg.mode == modeMTLS {
		f.clientCA = read("transport.tls.client_ca_path", k.cfg.clientCA)
	}
	return f, err
}

// take makes the content of files what the next handshake uses.
func (k *keychain) take(files tlsFiles) error {
	pair, err := tls.X509KeyPair(files.cert, files.key)
	if err != nil {
		return fmt.Errorf("transport.tls.cert_path %s and key_path %s: %w", k.cfg.certPath, k.cfg.keyPath, err)
	}
	c := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tlsVersion(k.cfg.minVersion),
		MaxVersion:   tlsVersion(k.cfg.maxVersion),
		NextProtos:   k.cfg.alpn,
	}
	if k.cfg.mode == modeMTLS {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(files.clientCA) {
			return fmt.Errorf("transport.tls.client_ca_path %s: no certificate in it", k.cfg.clientCA)
		}
	}
	k.expiry.Set(float64(pair.Leaf.NotAfter.Unix()))
	k.current.Store(c)
	k.read = files
	return nil
}

// serverConfig is what a listener is given: each handshake takes the newest.
func (k *keychain) serverConfig() *tls.Config {
	return &tls.Config{
		MinVersion:         tlsVersion(k.cfg.minVersion),
		NextProtos:         k.cfg.alpn,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return k.current.Load(), nil },
	}
}

// run reads the files again whenever they change, until ctx ends. What is not
// sound is told once and leaves the last sound ones in use: certificate and key
// are often written one after the other.
func (k *keychain) run(ctx context.Context) error {
	tick := time.NewTicker(tlsPoll)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		files, err := k.readFiles()
		if err == nil && files.equal(k.read) {
			told = ""
			continue
		}
		if err == nil {
			err = k.take(files)
		}
		switch {
		case err == nil:
			k.reloads.WithLabelValues("taken").Inc()
			k.log.Info("certificate files read again", "cert", k.cfg.certPath, "until", k.current.Load().Certificates[0].Leaf.NotAfter)
			told = ""
		case err.Error() != told:
			k.reloads.WithLabelValues("refused").Inc()
			k.log.Error("changed certificate files are not sound; the last sound ones stay in use", "err", err)
			told = err.Error()
		}
	}
}

// protocols is what the server of the clients speaks.
func (t tlsConfig) protocols() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(slices.Contains(t.versions, http1))
	p.SetHTTP2(slices.Contains(t.versions, http2))
	p.SetUnencryptedHTTP2(slices.Contains(t.versions, h2c))
	return p
}

// scheme is that of the clients' URLs.
func (t tlsConfig) scheme() string {
	if t.mode == modeHTTP {
		return "http"
	}
	return "https"
}
