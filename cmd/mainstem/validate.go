package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"

	"mainstem/httpapi"
)

// nodeIDForm keeps node ids short enough for gossip's metadata and plain enough
// for logs, metrics and file names.
var nodeIDForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// validate checks the rules that bind several settings, or that a command adds,
// and fills in what follows from others. Each error names the key and the flag.
func (c *config) validate(command, profile string) (problems []error) {
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	if err := (httpapi.Config{BasePath: c.http.basePath}).Validate(); err != nil {
		rule(false, "http.stream_base_path (--stream-base-path): %w", err)
	}
	rule(!strings.HasPrefix(checksumPath, c.http.basePath+"/"), "http.stream_base_path (--stream-base-path): %s hides %s", c.http.basePath, checksumPath)
	rule(!inProduction(profile) || c.http.allowWildcardCORS || !slices.Contains(c.http.corsOrigins, "*"),
		"http.cors_origins (--cors-origins): profile %s does not let every page call; name the origins, or set http.allow_wildcard_cors", profile)
	problems = append(problems, c.tls.rules()...)
	problems = append(problems, c.proxy.rules(c.tls.mode)...)
	rule(!inProduction(profile) || c.auth.named() || c.auth.allowAnonymous,
		"auth: profile %s lets nobody in unknown; name a way in (auth.api_keys_path, auth.signed_url, auth.jwt or auth.forward), or set auth.allow_anonymous (--allow-anonymous)", profile)
	rule(c.raft.electionTimeout >= c.raft.heartbeatTimeout,
		"raft.election_timeout (--raft-election-timeout): %s is below raft.heartbeat_timeout, %s", c.raft.electionTimeout, c.raft.heartbeatTimeout)
	rule(c.raft.leaderLeaseTimeout <= c.raft.heartbeatTimeout,
		"raft.leader_lease_timeout (--raft-leader-lease-timeout): %s is above raft.heartbeat_timeout, %s", c.raft.leaderLeaseTimeout, c.raft.heartbeatTimeout)
	soft, hard := c.storage.soft, c.storage.hard
	rule(soft.Bytes == 0 || soft.Bytes >= hard.Bytes, "storage.disk_soft_free (--disk-soft-free): %s is below storage.disk_hard_free, %s", formatSize(soft.Bytes), formatSize(hard.Bytes))
	rule(soft.Percent == 0 || soft.Percent >= hard.Percent, "storage.disk_soft_free (--disk-soft-free): %g%% is below storage.disk_hard_free, %g%%", soft.Percent, hard.Percent)
	rule(len(c.webhooks.key) == 0 || c.webhooks.keyFile == "",
		"webhooks.key_encryption_key_file (--webhooks-key-encryption-key-file): webhooks.key_encryption_key is set as well; keep one")
	problems = append(problems, c.memoryRules()...)
	rule(c.limits.inFlightBytes >= 2*c.limits.bodyBytes,
		"limits.max_in_flight_bytes (--max-in-flight-bytes): %s is below twice limits.max_body_bytes, %s", formatSize(c.limits.inFlightBytes), formatSize(c.limits.bodyBytes))
	if command != commandServe {
		return problems
	}
	rule(c.storage.dataDir != "" || c.storage.inMemory(), "storage.data_dir (--data-dir): serve needs a directory to keep its data in")
	if err := c.cluster.defaultNodeID(); err != nil {
		problems = append(problems, err)
	}
	rule(dialable(c.cluster.host()),
		"cluster.advertise_host (--advertise-host): the other nodes cannot dial %q, the host of --peer-addr; say by which name they reach this node", c.cluster.host())
	problems = append(problems, c.cluster.tls.rules()...)
	problems = append(problems, c.cluster.gossip.rules()...)
	rule(!collide(c.server.addr, c.cluster.peerAddr), "cluster.peer_address (--peer-addr): %s is also --addr", c.cluster.peerAddr)
	rule(!collide(c.server.addr, c.cluster.gossipAddr), "cluster.gossip_address (--gossip-addr): %s is also --addr", c.cluster.gossipAddr)
	rule(!collide(c.cluster.peerAddr, c.cluster.gossipAddr), "cluster.gossip_address (--gossip-addr): %s is also --peer-addr", c.cluster.gossipAddr)
	return problems
}

// defaultNodeID fills in the host name and checks the form.
func (c *clusterConfig) defaultNodeID() error {
	if c.nodeID == "" {
		host, err := os.Hostname()
		if err != nil || host == "" {
			return errors.Join(errors.New("cluster.node_id (--node-id): none given, and this machine has no host name"), err)
		}
		c.nodeID = host
	}
	if !nodeIDForm.MatchString(c.nodeID) {
		return fmt.Errorf("cluster.node_id (--node-id): %q is not 1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or a digit", c.nodeID)
	}
	return nil
}

// collide tells whether two listeners would want one port. Addresses of two
// different interfaces may share it.
func collide(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	return portA == portB && portA != "0" && (hostA == hostB || !dialable(hostA) || !dialable(hostB))
}
