package settings

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"

	"mainstem/httpapi"
	"mainstem/operator"
)

// NodeIDForm keeps node ids short enough for gossip's metadata and plain enough
// for logs, metrics and file names.
var NodeIDForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// validate checks the rules that bind several settings, or that a command adds,
// and fills in what follows from others. Each error names the key and the flag.
func (c *Config) validate(command, profile string) (problems []error) {
	rule := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	if err := (httpapi.Config{BasePath: c.HTTP.BasePath}).Validate(); err != nil {
		rule(false, "http.stream_base_path (--stream-base-path): %w", err)
	}
	rule(!strings.HasPrefix(operator.ChecksumPath, c.HTTP.BasePath+"/"), "http.stream_base_path (--stream-base-path): %s hides %s", c.HTTP.BasePath, operator.ChecksumPath)
	rule(!inProduction(profile) || c.HTTP.allowWildcardCORS || !slices.Contains(c.HTTP.CORSOrigins, "*"),
		"http.cors_origins (--cors-origins): profile %s does not let every page call; name the origins, or set http.allow_wildcard_cors", profile)
	problems = append(problems, c.TLS.rules()...)
	problems = append(problems, c.Proxy.rules(c.TLS.Mode)...)
	rule(!inProduction(profile) || c.Auth.named() || c.Auth.AllowAnonymous,
		"auth: profile %s lets nobody in unknown; name a way in (auth.api_keys_path, auth.signed_url, auth.jwt or auth.forward), or set auth.allow_anonymous (--allow-anonymous)", profile)
	rule(c.Raft.ElectionTimeout >= c.Raft.HeartbeatTimeout,
		"raft.election_timeout (--raft-election-timeout): %s is below raft.heartbeat_timeout, %s", c.Raft.ElectionTimeout, c.Raft.HeartbeatTimeout)
	rule(c.Raft.LeaderLeaseTimeout <= c.Raft.HeartbeatTimeout,
		"raft.leader_lease_timeout (--raft-leader-lease-timeout): %s is above raft.heartbeat_timeout, %s", c.Raft.LeaderLeaseTimeout, c.Raft.HeartbeatTimeout)
	soft, hard := c.Storage.Soft, c.Storage.Hard
	rule(soft.Bytes == 0 || soft.Bytes >= hard.Bytes, "storage.disk_soft_free (--disk-soft-free): %s is below storage.disk_hard_free, %s", FormatSize(soft.Bytes), FormatSize(hard.Bytes))
	rule(soft.Percent == 0 || soft.Percent >= hard.Percent, "storage.disk_soft_free (--disk-soft-free): %g%% is below storage.disk_hard_free, %g%%", soft.Percent, hard.Percent)
	rule(len(c.Webhooks.Key) == 0 || c.Webhooks.KeyFile == "",
		"webhooks.key_encryption_key_file (--webhooks-key-encryption-key-file): webhooks.key_encryption_key is set as well; keep one")
	problems = append(problems, c.memoryRules()...)
	rule(c.Limits.InFlightBytes >= 2*c.Limits.BodyBytes,
		"limits.max_in_flight_bytes (--max-in-flight-bytes): %s is below twice limits.max_body_bytes, %s", FormatSize(c.Limits.InFlightBytes), FormatSize(c.Limits.BodyBytes))
	if command != Serve {
		return problems
	}
	rule(c.Storage.DataDir != "" || c.Storage.InMemory(), "storage.data_dir (--data-dir): serve needs a directory to keep its data in")
	if err := c.Cluster.defaultNodeID(); err != nil {
		problems = append(problems, err)
	}
	rule(Dialable(c.Cluster.Host()),
		"cluster.advertise_host (--advertise-host): the other nodes cannot dial %q, the host of --peer-addr; say by which name they reach this node", c.Cluster.Host())
	problems = append(problems, c.Cluster.TLS.rules()...)
	problems = append(problems, c.Cluster.Gossip.rules()...)
	rule(!collide(c.Server.Addr, c.Cluster.PeerAddr), "cluster.peer_address (--peer-addr): %s is also --addr", c.Cluster.PeerAddr)
	rule(!collide(c.Server.Addr, c.Cluster.GossipAddr), "cluster.gossip_address (--gossip-addr): %s is also --addr", c.Cluster.GossipAddr)
	rule(!collide(c.Cluster.PeerAddr, c.Cluster.GossipAddr), "cluster.gossip_address (--gossip-addr): %s is also --peer-addr", c.Cluster.GossipAddr)
	return problems
}

// defaultNodeID fills in the host name and checks the form.
func (c *Cluster) defaultNodeID() error {
	if c.NodeID == "" {
		host, err := os.Hostname()
		if err != nil || host == "" {
			return errors.Join(errors.New("cluster.node_id (--node-id): none given, and this machine has no host name"), err)
		}
		c.NodeID = host
	}
	if !NodeIDForm.MatchString(c.NodeID) {
		return fmt.Errorf("cluster.node_id (--node-id): %q is not 1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or a digit", c.NodeID)
	}
	return nil
}

// collide tells whether two listeners would want one port. Addresses of two
// different interfaces may share it.
func collide(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	return portA == portB && portA != "0" && (hostA == hostB || !Dialable(hostA) || !Dialable(hostB))
}
