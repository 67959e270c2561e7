package wiring

import (
	"context"
	"time"

	"mainstem/cluster"
	"mainstem/httpapi"
)

// Face is a cluster.Node as httpapi wants to see it.
type Face struct{ Node *cluster.Node }

var _ httpapi.Cluster = Face{}

// Checks implements httpapi.Cluster.
func (f Face) Checks() []httpapi.Check { return asChecks(f.Node.Checks()) }

// ClusterChecks implements httpapi.Cluster.
func (f Face) ClusterChecks() []httpapi.Check { return asChecks(f.Node.ClusterChecks()) }

// Status implements httpapi.Cluster.
func (f Face) Status(ctx context.Context) any { return f.Node.Status(ctx) }

// LeaderContact drops what httpapi does not ask: whether a leader is known now.
func (f Face) LeaderContact() (at time.Time, ok bool) {
	at, _ = f.Node.LeaderContact()
	return at, !at.IsZero()
}

func asChecks(checks []cluster.Check) (out []httpapi.Check) {
	for _, c := range checks {
		out = append(out, httpapi.Check(c))
	}
	return out
}
