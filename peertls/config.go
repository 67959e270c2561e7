package peertls

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Mode is how much is asked of other nodes.
type Mode string

// The modes. Nodes of two that stand beside each other here understand each
// other, so that a cluster goes from one to the next by restarting its nodes in
// turn.
const (
	// Off: no TLS. There is no Guard of this mode.
	Off Mode = "off"
	// Permissive: TLS with every node that speaks it, and plain with the others.
	// What would be refused under Required is told, and taken.
	Permissive Mode = "permissive"
	// Required: TLS with nodes that have proven who they are, and nothing else.
	Required Mode = "required"
)

// Config is what a Guard works with. The files are PEM.
type Config struct {
	Mode     Mode   // Permissive or Required
	CertPath string // this node's certificate, the chain after it, for servers and clients
	KeyPath  string // its key
	CAPath   string // the authorities of all nodes' certificates, and of nobody else's

	// NodeID and Host are this node's own names: its certificate must hold one.
	NodeID, Host string

	// Use is told when the certificate in use ends, each time that one is taken;
	// Refused is told once of changed files that are not sound. Either may be nil.
	Use     func(until time.Time)
	Refused func(error)

	Now     func() time.Time      // time.Now
	Log     *slog.Logger          // discarded
	Metrics prometheus.Registerer // none
}

// Validate names what is missing.
func (c Config) Validate() error {
	switch {
	case c.Mode != Permissive && c.Mode != Required:
		return fmt.Errorf("mode %q is neither %s nor %s", c.Mode, Permissive, Required)
	case c.CertPath == "" || c.KeyPath == "" || c.CAPath == "":
		return errors.New("a certificate, its key and the authorities' certificates are needed")
	case c.NodeID == "" && c.Host == "":
		return errors.New("a node has a name")
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Use == nil {
		c.Use = func(time.Time) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	return c
}
