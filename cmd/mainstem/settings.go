package main

import (
	"slices"
	"time"

	"mainstem/storage"
)

// setting is one row of the table from which flags, environment names, defaults
// and docs/configuration.md come. Rows are added here and nowhere else.
type setting struct {
	key   string // dotted, as in the Rust server where the meaning is the same
	flag  string // without dashes; "" when there is none
	std   string // the default, as text
	dev   string // the default of mainstem dev where it differs
	only  string // the command that has it; "" for dev and serve
	value value
	alias string // the key this row is an older name of
	usage string

	legacy bool // an alias that even the Rust server calls old, or a row without a meaning here: its use is told in the log

	secret bool // never shown
}

// env is the name of a setting in the environment.
func (s setting) env() string { return envName(s.key) }

// fallback is the default of a setting under a command.
func (s setting) fallback(command string) string {
	if command == commandDev && s.dev != "" {
		return s.dev
	}
	return s.std
}

// appliesTo tells whether a command has this setting.
func (s setting) appliesTo(command string) bool { return s.only == "" || s.only == command }

// bodyBytesMax keeps an append, with its envelope, below the 64 MiB at which
// the raft log refuses an entry.
const bodyBytesMax = 32 << 20

// memTableMost is the largest table of writes that the copy can hold.
const memTableMost = 1 << 30

// settings is the table.
func settings() []setting {
	return slices.Concat(serverSettings(), storageSettings(), clusterSettings(), peerTLSSettings(), gossipSettings(), raftSettings(), transportSettings(), tlsSettings(), proxySettings(), authSettings(), limitSettings(), webhookSettings(), logSettings())
}

func serverSettings() []setting {
	return []setting{
		{key: "server.bind_address", flag: "addr", std: "0.0.0.0:4437", dev: "127.0.0.1:4437",
			value: address(func(c *config) *string { return &c.server.addr }),
			usage: "where clients are served, with health, and metrics and the cluster's status if server.admin_address is not given"},
		{key: "server.port", alias: "server.bind_address", legacy: true, value: port(),
			usage: "the Rust server's older name of the above: a port on all addresses"},
		{key: "server.public_url", flag: "public-url",
			value: publicURL(func(c *config) *string { return &c.server.publicURL }),
			usage: "scheme and host by which clients reach the cluster, such as `https://streams.example`: it begins the callback and key URLs that webhooks get; what the creator of a subscription used when not given"},
		{key: "server.admin_address", flag: "admin-addr",
			value: address(func(c *config) *string { return &c.server.adminAddr }),
			usage: "where operators' tools get metrics, all below /v1/cluster/ and profiles (/debug/pprof/), and no streams; clients are not served those then, and both are served health. When not given there are no profiles, and the rest is where clients are. Metrics and profiles ask for no password: keep it on loopback or a private network"},
		{key: "server.shutdown_timeout", flag: "shutdown-timeout", std: "25s",
			value: duration(func(c *config) *time.Duration { return &c.server.shutdownTimeout }),
			usage: "how long a stop may take in all before what is left is cut; more than half of it may go by until the other nodes have a quorum without this one"},
		{key: "server.drain_spread", flag: "drain-spread", std: "1s",
			value: duration(func(c *config) *time.Duration { return &c.server.drainSpread }),
			usage: "over how long the live readers of a node that stops are sent elsewhere, while it still serves"},
		{key: "server.read_header_timeout", flag: "read-header-timeout", std: "10s",
			value: duration(func(c *config) *time.Duration { return &c.server.readHeaderTimeout }),
			usage: "how long a client may take to send the headers of a request"},
		{key: "server.idle_timeout", flag: "idle-timeout", std: "2m",
			value: duration(func(c *config) *time.Duration { return &c.server.idleTimeout }),
			usage: "how long a connection without a request is kept"},
	}
}

func storageSettings() []setting {
	return []setting{
		{key: "storage.mode", flag: "storage-mode", std: modeFileDurable,
			value: choice(func(c *config) *string { return &c.storage.mode }, modeFileDurable, modeACID, modeFileFast, modeMemory),
			usage: "where streams are kept. file-durable, acid and file-fast are the Rust server's names and all mean the same here: on disk, and an append is answered when a quorum has it there. memory is one node that keeps nothing when it ends"},
		{key: "storage.acid_shard_count", legacy: true, value: unused("number", nil),
			usage: "of the Rust server; without effect here"},
		{key: "storage.acid_backend", legacy: true, value: unused("file|in-memory", notInMemory),
			usage: "of the Rust server; without effect here, where storage.mode says what is kept in memory"},
		{key: "storage.data_dir", flag: "data-dir",
			value: text(func(c *config) *string { return &c.storage.dataDir }),
			usage: "directory for all that this node keeps; serve needs it, dev makes a temporary one and removes it at exit"},
		{key: "storage.memory_bytes", flag: "memory-bytes", std: "320MiB",
			value: size(func(c *config) *int64 { return &c.storage.memoryBytes }, 1<<20, 1<<40),
			usage: "memory for data: a fifth for blocks read from disk, two fifths for the newest writes, a fifth for what is followed live, a fifth for what several readers catch up with; a process takes some 50 MiB beside it, and what its connections take"},
		{key: "storage.cache_bytes", flag: "cache-bytes",
			value: size(func(c *config) *int64 { return &c.storage.cacheBytes }, 1<<20, 1<<40),
			usage: "memory for blocks read from disk; a fifth of storage.memory_bytes when not given"},
		{key: "storage.mem_table_bytes", flag: "mem-table-bytes",
			value: size(func(c *config) *int64 { return &c.storage.memTableBytes }, 1<<20, memTableMost),
			usage: "memory in which the newest writes collect before they become a table on disk, four times at most; a tenth of storage.memory_bytes when not given"},
		{key: "storage.disk_soft_free", flag: "disk-soft-free",
			value: mark(func(c *config) *storage.Mark { return &c.storage.soft }),
			usage: "free space on the disk of --data-dir below which the node warns; when not given 10%, but at least 512MiB and at most a quarter of the disk"},
		{key: "storage.disk_hard_free", flag: "disk-hard-free",
			value: mark(func(c *config) *storage.Mark { return &c.storage.hard }),
			usage: "free space below which the whole cluster refuses data with 507; when not given 3%, but at least 256MiB and at most an eighth of the disk"},
		{key: "storage.ballast_bytes", flag: "ballast-bytes", std: "64MiB",
			value: size(func(c *config) *int64 { return &c.storage.ballastBytes }, 0, 1<<40),
			usage: "space held back in a file, given up when the disk is nearly full so that the node goes on; at most a 32nd of the disk, 0 for none"},
		{key: "storage.scrub_bytes_per_second", flag: "scrub-bytes-per-second", std: "4MiB",
			value: size(func(c *config) *int64 { return &c.storage.scrubBytes }, 1<<10, 1<<40),
			usage: "how fast a node reads its own data at most, only to find damage before somebody reads it"},
		{key: "storage.scrub_interval", flag: "scrub-interval", std: "1h",
			value: duration(func(c *config) *time.Duration { return &c.storage.scrubInterval }),
			usage: "how long after the beginning of one such pass over all data the next one begins; a fresh process begins after a tenth of it"},
	}
}

func clusterSettings() []setting {
	return []setting{
		{key: "cluster.node_id", flag: "node-id", only: commandServe,
			value: text(func(c *config) *string { return &c.cluster.nodeID }),
			usage: "this node's name in the cluster, kept in the data directory for ever; the host name when not given"},
		{key: "cluster.peer_address", flag: "peer-addr", std: "127.0.0.1:4438", only: commandServe,
			value: address(func(c *config) *string { return &c.cluster.peerAddr }),
			usage: "where the other nodes of the cluster reach this one"},
		{key: "cluster.gossip_address", flag: "gossip-addr", std: "127.0.0.1:4439", only: commandServe,
			value: address(func(c *config) *string { return &c.cluster.gossipAddr }),
			usage: "where nodes find each other, over TCP and UDP"},
		{key: "cluster.advertise_host", flag: "advertise-host", only: commandServe,
			value: text(func(c *config) *string { return &c.cluster.advertiseHost }),
			usage: "the name by which the others dial this node, resolved at each dial; the host of --peer-addr when not given"},
		{key: "cluster.join", flag: "join", only: commandServe,
			value: addresses(func(c *config) *[]string { return &c.cluster.join }),
			usage: "gossip addresses of other nodes, comma-separated; this node's own is ignored, and so is the list once the node has state"},
		{key: "cluster.bootstrap_expect", flag: "bootstrap-expect", std: "1", only: commandServe,
			value: count(func(c *config) *int { return &c.cluster.bootstrapExpect }, 1, 99),
			usage: "how many fresh nodes found a cluster together; 1 with other nodes in --join means join and never found"},
		{key: "cluster.submit_timeout", flag: "submit-timeout", std: "10s",
			value: duration(func(c *config) *time.Duration { return &c.cluster.submitTimeout }),
			usage: "how long a write waits for a leader before it is answered 503"},
		{key: "cluster.admin_token", only: commandServe, secret: true,
			value: text(func(c *config) *string { return &c.cluster.adminToken }),
			usage: "what `Authorization: Bearer` must carry for another machine to change the membership; without it only calls from loopback may. It has no flag: others could read it in the list of processes"},
	}
}

func raftSettings() []setting {
	return []setting{
		{key: "raft.log_store", flag: "raft-log-store", std: "wal",
			value: choice(func(c *config) *string { return &c.raft.logStore }, "wal", "boltdb"),
			usage: "the store of the replicated log; kept for the life of a data directory"},
		{key: "raft.segment_bytes", flag: "raft-segment-bytes",
			value: size(func(c *config) *int64 { return &c.raft.segmentBytes }, 1<<20, 1<<30),
			usage: "what the log of kind wal takes from the disk at a time; when not given 64MiB, or a 64th of a disk below 4GiB, but no less than 4MiB"},
		{key: "raft.heartbeat_timeout", flag: "raft-heartbeat-timeout", std: "500ms",
			value: duration(func(c *config) *time.Duration { return &c.raft.heartbeatTimeout }),
			usage: "how long a follower hears nothing before it stands for election"},
		{key: "raft.election_timeout", flag: "raft-election-timeout", std: "500ms",
			value: duration(func(c *config) *time.Duration { return &c.raft.electionTimeout }),
			usage: "how long a candidate waits for votes; not below the heartbeat timeout"},
		{key: "raft.leader_lease_timeout", flag: "raft-leader-lease-timeout", std: "400ms",
			value: duration(func(c *config) *time.Duration { return &c.raft.leaderLeaseTimeout }),
			usage: "how long a leader reaches no quorum before it steps down; not above the heartbeat timeout"},
		{key: "raft.commit_timeout", flag: "raft-commit-timeout", std: "50ms",
			value: duration(func(c *config) *time.Duration { return &c.raft.commitTimeout }),
			usage: "how long a leader with nothing to send waits before it tells the commit index again"},
		{key: "raft.snapshot_interval", flag: "raft-snapshot-interval", std: "2m",
			value: duration(func(c *config) *time.Duration { return &c.raft.snapshotInterval }),
			usage: "how often a node looks whether a snapshot is due"},
		{key: "raft.snapshot_threshold", flag: "raft-snapshot-threshold", std: "8192",
			value: count(func(c *config) *int { return &c.raft.snapshotThreshold }, 16, 1<<30),
			usage: "how many log entries since the last snapshot make the next one due"},
		{key: "raft.trailing_logs", flag: "raft-trailing-logs", std: "10240",
			value: count(func(c *config) *int { return &c.raft.trailingLogs }, 1, 1<<30),
			usage: "how many log entries stay after a snapshot, so that a slow follower needs no snapshot"},
		{key: "raft.snapshot_bytes", flag: "raft-snapshot-bytes", std: "512MiB",
			value: size(func(c *config) *int64 { return &c.raft.snapshotBytes }, 1<<20, 1<<40),
			usage: "how many bytes of log entries since the last snapshot make the next one due, whatever their number"},
		{key: "raft.trailing_bytes", flag: "raft-trailing-bytes", std: "256MiB",
			value: size(func(c *config) *int64 { return &c.raft.trailingBytes }, 1<<20, 1<<40),
			usage: "how many bytes of log entries stay after a snapshot at most, but for the last entry"},
	}
}

func transportSettings() []setting {
	return []setting{
		{key: "http.stream_base_path", flag: "stream-base-path", std: "/v1/stream",
			value: text(func(c *config) *string { return &c.http.basePath }),
			usage: "the path below which streams live"},
		{key: "http.cors_origins", flag: "cors-origins", std: "*",
			value: origins(func(c *config) *[]string { return &c.http.corsOrigins }),
			usage: "where pages come from that browsers may let call, comma-separated"},
		{key: "http.allow_wildcard_cors", flag: "allow-wildcard-cors", std: "false",
			value: flag(func(c *config) *bool { return &c.http.allowWildcardCORS }),
			usage: "let the profiles for production run with http.cors_origins = \"*\""},
		{key: "http.state_offsets", flag: "state-offsets", std: "false",
			value: flag(func(c *config) *bool { return &c.http.stateOffsets }),
			usage: "show in events of the State Protocol, as headers.offset of reads, where their append ends"},
		{key: longPollKey, flag: "long-poll-timeout", std: "30s",
			value: duration(func(c *config) *time.Duration { return &c.http.longPollTimeout }),
			usage: "how long a long-poll waits for data before 204"},
		{key: longPollKey + "_secs", alias: longPollKey, value: seconds(),
			usage: "the older name of the above, in decimal seconds"},
		{key: "server.long_poll_timeout_secs", alias: longPollKey, legacy: true, value: seconds(),
			usage: "the Rust server's older name of the same"},
		{key: sseReconnectKey, flag: "sse-reconnect-interval", std: "60s",
			value: duration(func(c *config) *time.Duration { return &c.http.sseReconnectInterval }),
			usage: "how long one SSE connection lives before the client is asked to come again"},
		{key: sseReconnectKey + "_secs", alias: sseReconnectKey, value: seconds(),
			usage: "the older name of the above, in decimal seconds"},
		{key: "server.sse_reconnect_interval_secs", alias: sseReconnectKey, legacy: true, value: seconds(),
			usage: "the Rust server's older name of the same"},
		{key: "transport.connection.sse_keep_alive", flag: "sse-keep-alive", std: "15s",
			value: duration(func(c *config) *time.Duration { return &c.http.sseKeepAlive }),
			usage: "how long an SSE connection is silent before a comment shows that it lives"},
		{key: "transport.connection.slow_reader_timeout", flag: "slow-reader-timeout", std: "30s",
			value: duration(func(c *config) *time.Duration { return &c.http.slowReaderTimeout }),
			usage: "how long a reader may take to accept what was written to it before it is cut"},
		{key: "transport.connection.no_leader_grace", flag: "no-leader-grace", std: "2s",
			value: duration(func(c *config) *time.Duration { return &c.http.noLeaderGrace }),
			usage: "how long a read waits for a leader before it is answered from the local copy, marked stale, or with 503"},
	}
}

const (
	logLevelKey     = "observability.log_level"
	longPollKey     = "transport.connection.long_poll_timeout"
	sseReconnectKey = "transport.connection.sse_reconnect_interval"
)

func webhookSettings() []setting {
	return []setting{
		{key: "webhooks.allow_insecure", flag: "webhooks-allow-insecure", std: "false",
			value: flag(func(c *config) *bool { return &c.webhooks.allowInsecure }),
			usage: "also take webhooks at `http://localhost` and `http://127.0.0.1`, for development; other private addresses are refused all the same"},
		{key: "webhooks.key_encryption_key", secret: true,
			value: keyEncryptionKey(func(c *config) *[]byte { return &c.webhooks.key }),
			usage: "32 bytes in base64 or hexadecimal, the same on every node, that seal the private signing keys; without one the log, the snapshots and every backup hold them in plain. It has no flag: others could read it in the list of processes"},
		{key: "webhooks.key_encryption_key_file", flag: "webhooks-key-encryption-key-file",
			value: text(func(c *config) *string { return &c.webhooks.keyFile }),
			usage: "a file that holds that key, in place of the variable"},
	}
}

func logSettings() []setting {
	return []setting{
		{key: logLevelKey, flag: "log-level", std: "info", dev: "error",
			value: choice(func(c *config) *string { return &c.log.level }, "debug", "info", "warn", "error"),
			usage: "the lowest level that is logged, to standard error"},
		{key: "observability.rust_log", alias: logLevelKey, value: rustLog(),
			usage: "the Rust server's name of the above; of a filter with targets the level for all counts"},
		{key: "log.rust_log", alias: logLevelKey, legacy: true, value: rustLog(),
			usage: "the Rust server's older name of the same"},
		{key: "observability.log_format", flag: "log-format", std: "text",
			value: choice(func(c *config) *string { return &c.log.format }, "text", "json"),
			usage: "how log lines are written"},
		{key: "observability.otlp_endpoint", flag: "otlp-endpoint",
			value: webURL(func(c *config) *string { return &c.log.otlpEndpoint }),
			usage: "where traces are sent, by OTLP over HTTP, such as `http://127.0.0.1:4318` (`/v1/traces` when there is no path); no traces when not given"},
		{key: "observability.otlp_headers", secret: true,
			value: headerPairs(func(c *config) *[]string { return &c.log.otlpHeaders }),
			usage: "headers for that, such as credentials. It has no flag: others could read it in the list of processes"},
		{key: "observability.trace_share", flag: "trace-share", std: "1",
			value: share(func(c *config) *float64 { return &c.log.traceShare }),
			usage: "which share of the requests is traced, from 0 to 1; what a caller's traceparent says wins"},
	}
}
