package main

import (
	"fmt"

	"mainstem/peertls"
)

// peerTLSConfig is how the nodes of a cluster secure their connections.
type peerTLSConfig struct {
	mode     string
	certPath string
	keyPath  string
	caPath   string
}

func (p peerTLSConfig) off() bool { return p.mode == "" || p.mode == string(peertls.Off) }

func peerTLSSettings() []setting {
	return []setting{
		{key: "cluster.tls.mode", flag: "peer-tls", std: string(peertls.Off), only: commandServe,
			value: choice(func(c *config) *string { return &c.cluster.tls.mode }, string(peertls.Off), string(peertls.Permissive), string(peertls.Required)),
			usage: "how nodes connect to each other: off; permissive, with TLS where the other speaks it, telling what required would refuse; or required, with proven nodes alone. Go from one to the next by restarting the nodes in turn, with permissive between off and required"},
		{key: "cluster.tls.cert_path", flag: "peer-tls-cert", only: commandServe,
			value: text(func(c *config) *string { return &c.cluster.tls.certPath }),
			usage: "PEM file of this node's certificate, the chain after it, for servers and clients both; among its alternative names must be the node id or the host that the others dial; read again when it changes"},
		{key: "cluster.tls.key_path", flag: "peer-tls-key", only: commandServe,
			value: text(func(c *config) *string { return &c.cluster.tls.keyPath }),
			usage: "PEM file of that certificate's key"},
		{key: "cluster.tls.ca_path", flag: "peer-tls-ca", only: commandServe,
			value: text(func(c *config) *string { return &c.cluster.tls.caPath }),
			usage: "PEM file of the authorities of the nodes' certificates: an authority for nodes alone, not that of the clients"},
	}
}

// rules judges the section.
func (p peerTLSConfig) rules() (problems []error) {
	for _, file := range []struct{ key, path string }{
		{"cert_path (--peer-tls-cert)", p.certPath}, {"key_path (--peer-tls-key)", p.keyPath}, {"ca_path (--peer-tls-ca)", p.caPath},
	} {
		switch {
		case p.off() && file.path != "":
			problems = append(problems, fmt.Errorf("cluster.tls.%s: cluster.tls.mode is off; set it to permissive or required", file.key))
		case !p.off() && file.path == "":
			problems = append(problems, fmt.Errorf("cluster.tls.%s: cluster.tls.mode %s needs it", file.key, p.mode))
		}
	}
	return problems
}
