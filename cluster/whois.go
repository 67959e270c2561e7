package cluster

import (
	"context"
	"errors"
	"fmt"
)

// WhoIs asks who listens at a peer address, without being a node: a tool that is
// about to count a node as lost makes sure of it.
func WhoIs(ctx context.Context, network Network, addr, caller string) (nodeID, clusterID string, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := network.Dial(ctx, addr)
	if err != nil {
		return "", "", fmt.Errorf("dial %s: %w", addr, err)
	}
	defer c.Close()
	w, err := introduce(c, hello{Kind: connAdmission, From: caller})
	var refused *refusedError
	if err != nil && !errors.As(err, &refused) {
		return "", "", fmt.Errorf("ask who is at %s: %w", addr, err)
	}
	return w.From, w.ClusterID, nil
}
