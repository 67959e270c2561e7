package settings

import (
	"fmt"

	"mainstem/peertls"
)

// PeerTLS is how the nodes of a cluster secure their connections.
type PeerTLS struct {
	Mode     string
	CertPath string
	KeyPath  string
	CAPath   string
}

// Off reports that nodes speak to each other without TLS.
func (p PeerTLS) Off() bool { return p.Mode == "" || p.Mode == string(peertls.Off) }

func peerTLSSettings() []setting {
	return []setting{
		{key: "cluster.tls.mode", flag: "peer-tls", std: string(peertls.Off), only: Serve,
			value: choice(func(c *Config) *string { return &c.Cluster.TLS.Mode }, string(peertls.Off), string(peertls.Permissive), string(peertls.Required)),
			usage: "how nodes connect to each other: off; permissive, with TLS where the other speaks it, telling what required would refuse; or required, with proven nodes alone. Go from one to the next by restarting the nodes in turn, with permissive between off and required"},
		{key: "cluster.tls.cert_path", flag: "peer-tls-cert", only: Serve,
			value: text(func(c *Config) *string { return &c.Cluster.TLS.CertPath }),
			usage: "PEM file of this node's certificate, the chain after it, for servers and clients both; among its alternative names must be the node id or the host that the others dial; read again when it changes"},
		{key: "cluster.tls.key_path", flag: "peer-tls-key", only: Serve,
			value: text(func(c *Config) *string { return &c.Cluster.TLS.KeyPath }),
			usage: "PEM file of that certificate's key"},
		{key: "cluster.tls.ca_path", flag: "peer-tls-ca", only: Serve,
			value: text(func(c *Config) *string { return &c.Cluster.TLS.CAPath }),
			usage: "PEM file of the authorities of the nodes' certificates: an authority for nodes alone, not that of the clients"},
	}
}

// rules judges the section.
func (p PeerTLS) rules() (problems []error) {
	for _, file := range []struct{ key, path string }{
		{"cert_path (--peer-tls-cert)", p.CertPath}, {"key_path (--peer-tls-key)", p.KeyPath}, {"ca_path (--peer-tls-ca)", p.CAPath},
	} {
		switch {
		case p.Off() && file.path != "":
			problems = append(problems, fmt.Errorf("cluster.tls.%s: cluster.tls.mode is off; set it to permissive or required", file.key))
		case !p.Off() && file.path == "":
			problems = append(problems, fmt.Errorf("cluster.tls.%s: cluster.tls.mode %s needs it", file.key, p.Mode))
		}
	}
	return problems
}
