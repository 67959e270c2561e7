package main

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mainstem/cluster"
	"mainstem/fresh"
	"mainstem/peertls"
	"mainstem/phase"
)

// certificateMetrics are those of one certificate.
type certificateMetrics struct {
	expiry  prometheus.Gauge
	reloads *prometheus.CounterVec
}

// What a certificate is for, as the metrics say it.
const (
	forClients = "clients"
	forPeers   = "peers"
)

func newCertificateMetrics(r prometheus.Registerer, use string) certificateMetrics {
	m := certificateMetrics{
		expiry: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mainstem_certificate_expiry_timestamp_seconds", Help: "When the certificate that is in use ends, in Unix time, by those it is shown to.",
			ConstLabels: prometheus.Labels{"use": use}}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mainstem_certificate_reloads_total", Help: "Changed certificate files, by result: taken or refused.",
			ConstLabels: prometheus.Labels{"use": use}}, []string{"result"}),
	}
	m.reloads.WithLabelValues("taken")
	m.reloads.WithLabelValues("refused")
	r.MustRegister(m.expiry, m.reloads)
	return m
}

// openPeerTLS reads the files for connections between nodes, if they have TLS.
func (n *node) openPeerTLS() error {
	t := n.cfg.Cluster.TLS
	if t.Off() {
		return nil
	}
	metrics, first := newCertificateMetrics(n.metrics, forPeers), true
	var err error
	n.peerTLS, err = peertls.Open(peertls.Config{
		Mode: peertls.Mode(t.Mode), CertPath: t.CertPath, KeyPath: t.KeyPath, CAPath: t.CAPath,
		NodeID: n.cfg.Cluster.NodeID, Host: n.cfg.Cluster.Host(),
		Use: func(until time.Time) {
			metrics.expiry.Set(float64(until.Unix()))
			if !first {
				metrics.reloads.WithLabelValues("taken").Inc()
			}
			first = false
		},
		Refused: func(error) { metrics.reloads.WithLabelValues("refused").Inc() },
		Log:     n.log, Metrics: n.metrics,
	})
	var unread *fresh.ReadError
	switch {
	case errors.As(err, &unread):
		return phase.TLSFiles.In(err)
	case err != nil:
		return phase.TLS.In(err)
	}
	return nil
}

// network is the one between nodes, over the peer port that is open already.
func (n *node) network() cluster.Network {
	open := taken{listener: n.peers}
	if n.peerTLS == nil {
		return open
	}
	return n.peerTLS.Around(open)
}
