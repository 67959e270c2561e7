package settings

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
	if command == Dev && s.dev != "" {
		return s.dev
	}
	return s.std
}

// appliesTo tells whether a command has this setting.
func (s setting) appliesTo(command string) bool { return s.only == "" || s.only == command }

// BodyBytesMax keeps an append, with its envelope, below the 64 MiB at which
// the raft log refuses an entry.
const BodyBytesMax = 32 << 20

// memTableMost is the largest table of writes that the copy can hold.
const memTableMost = 1 << 30

// Table is the table.
func Table() []setting {
	return slices.Concat(serverSettings(), storageSettings(), clusterSettings(), peerTLSSettings(), gossipSettings(), raftSettings(), transportSettings(), tlsSettings(), proxySettings(), authSettings(), limitSettings(), webhookSettings(), logSettings())
}

func serverSettings() []setting {
	return []setting{
		{key: "server.bind_address", flag: "addr", std: "0.0.0.0:4437", dev: "127.0.0.1:4437",
			value: address(func(c *Config) *string { return &c.Server.Addr }),
			usage: "where clients are served, with health, and metrics and the cluster's status if server.admin_address is not given"},
		{key: "server.port", alias: "server.bind_address", legacy: true, value: port(),
			usage: "the Rust server's older name of the above: a port on all addresses"},
		{key: "server.public_url", flag: "public-url",
			value: publicURL(func(c *Config) *string { return &c.Server.PublicURL }),
			usage: "scheme and host by which clients reach the cluster, such as `https://streams.example`: it begins the callback and key URLs that webhooks get; what the creator of a subscription used when not given"},
		{key: "server.admin_address", flag: "admin-addr",
			value: address(func(c *Config) *string { return &c.Server.AdminAddr }),
			usage: "where operators' tools get metrics, all below /v1/cluster/ and profiles (/debug/pprof/), and no streams; clients are not served those then, and both are served health. When not given there are no profiles, and the rest is where clients are. Metrics and profiles ask for no password: keep it on loopback or a private network"},
		{key: "server.shutdown_timeout", flag: "shutdown-timeout", std: "25s",
			value: duration(func(c *Config) *time.Duration { return &c.Server.ShutdownTimeout }),
			usage: "how long a stop may take in all before what is left is cut; more than half of it may go by until the other nodes have a quorum without this one"},
		{key: "server.drain_spread", flag: "drain-spread", std: "1s",
			value: duration(func(c *Config) *time.Duration { return &c.Server.DrainSpread }),
			usage: "over how long the live readers of a node that stops are sent elsewhere, while it still serves"},
		{key: "server.read_header_timeout", flag: "read-header-timeout", std: "10s",
			value: duration(func(c *Config) *time.Duration { return &c.Server.ReadHeaderTimeout }),
			usage: "how long a client may take to send the headers of a request"},
		{key: "server.idle_timeout", flag: "idle-timeout", std: "2m",
			value: duration(func(c *Config) *time.Duration { return &c.Server.IdleTimeout }),
			usage: "how long a connection without a request is kept"},
	}
}

func storageSettings() []setting {
	return []setting{
		{key: "storage.mode", flag: "storage-mode", std: ModeFileDurable,
			value: choice(func(c *Config) *string { return &c.Storage.Mode }, ModeFileDurable, ModeACID, ModeFileFast, ModeMemory),
			usage: "where streams are kept. file-durable, acid and file-fast are the Rust server's names and all mean the same here: on disk, and an append is answered when a quorum has it there. memory is one node that keeps nothing when it ends"},
		{key: "storage.acid_shard_count", legacy: true, value: unused("number", nil),
			usage: "of the Rust server; without effect here"},
		{key: "storage.acid_backend", legacy: true, value: unused("file|in-memory", notInMemory),
			usage: "of the Rust server; without effect here, where storage.mode says what is kept in memory"},
		{key: "storage.data_dir", flag: "data-dir",
			value: text(func(c *Config) *string { return &c.Storage.DataDir }),
			usage: "directory for all that this node keeps; serve needs it, dev makes a temporary one and removes it at exit"},
		{key: "storage.memory_bytes", flag: "memory-bytes", std: "320MiB",
			value: size(func(c *Config) *int64 { return &c.Storage.memoryBytes }, 1<<20, 1<<40),
			usage: "memory for data: a fifth for blocks read from disk, two fifths for the newest writes, a fifth for what is followed live, a fifth for what several readers catch up with; a process takes some 50 MiB beside it, and what its connections take"},
		{key: "storage.cache_bytes", flag: "cache-bytes",
			value: size(func(c *Config) *int64 { return &c.Storage.cacheBytes }, 1<<20, 1<<40),
			usage: "memory for blocks read from disk; a fifth of storage.memory_bytes when not given"},
		{key: "storage.mem_table_bytes", flag: "mem-table-bytes",
			value: size(func(c *Config) *int64 { return &c.Storage.memTableBytes }, 1<<20, memTableMost),
			usage: "memory in which the newest writes collect before they become a table on disk, four times at most; a tenth of storage.memory_bytes when not given"},
		{key: "storage.disk_soft_free", flag: "disk-soft-free",
			value: mark(func(c *Config) *storage.Mark { return &c.Storage.Soft }),
			usage: "free space on the disk of --data-dir below which the node warns; when not given 10%, but at least 512MiB and at most a quarter of the disk"},
		{key: "storage.disk_hard_free", flag: "disk-hard-free",
			value: mark(func(c *Config) *storage.Mark { return &c.Storage.Hard }),
			usage: "free space below which the whole cluster refuses data with 507; when not given 3%, but at least 256MiB and at most an eighth of the disk"},
		{key: "storage.ballast_bytes", flag: "ballast-bytes", std: "64MiB",
			value: size(func(c *Config) *int64 { return &c.Storage.BallastBytes }, 0, 1<<40),
			usage: "space held back in a file, given up when the disk is nearly full so that the node goes on; at most a 32nd of the disk, 0 for none"},
		{key: "storage.scrub_bytes_per_second", flag: "scrub-bytes-per-second", std: "4MiB",
			value: size(func(c *Config) *int64 { return &c.Storage.ScrubBytes }, 1<<10, 1<<40),
			usage: "how fast a node reads its own data at most, only to find damage before somebody reads it"},
		{key: "storage.scrub_interval", flag: "scrub-interval", std: "1h",
			value: duration(func(c *Config) *time.Duration { return &c.Storage.ScrubInterval }),
			usage: "how long after the beginning of one such pass over all data the next one begins; a fresh process begins after a tenth of it"},
	}
}

func clusterSettings() []setting {
	return []setting{
		{key: "cluster.node_id", flag: "node-id", only: Serve,
			value: text(func(c *Config) *string { return &c.Cluster.NodeID }),
			usage: "this node's name in the cluster, kept in the data directory for ever; the host name when not given"},
		{key: "cluster.peer_address", flag: "peer-addr", std: "127.0.0.1:4438", only: Serve,
			value: address(func(c *Config) *string { return &c.Cluster.PeerAddr }),
			usage: "where the other nodes of the cluster reach this one"},
		{key: "cluster.gossip_address", flag: "gossip-addr", std: "127.0.0.1:4439", only: Serve,
			value: address(func(c *Config) *string { return &c.Cluster.GossipAddr }),
			usage: "where nodes find each other, over TCP and UDP"},
		{key: "cluster.advertise_host", flag: "advertise-host", only: Serve,
			value: text(func(c *Config) *string { return &c.Cluster.advertiseHost }),
			usage: "the name by which the others dial this node, resolved at each dial; the host of --peer-addr when not given"},
		{key: "cluster.join", flag: "join", only: Serve,
			value: addresses(func(c *Config) *[]string { return &c.Cluster.Join }),
			usage: "gossip addresses of other nodes, comma-separated; this node's own is ignored, and so is the list once the node has state"},
		{key: "cluster.bootstrap_expect", flag: "bootstrap-expect", std: "1", only: Serve,
			value: count(func(c *Config) *int { return &c.Cluster.BootstrapExpect }, 1, 99),
			usage: "how many fresh nodes found a cluster together; 1 with other nodes in --join means join and never found"},
		{key: "cluster.submit_timeout", flag: "submit-timeout", std: "10s",
			value: duration(func(c *Config) *time.Duration { return &c.Cluster.SubmitTimeout }),
			usage: "how long a write waits for a leader before it is answered 503"},
		{key: "cluster.admin_token", only: Serve, secret: true,
			value: text(func(c *Config) *string { return &c.Cluster.AdminToken }),
			usage: "what `Authorization: Bearer` must carry for another machine to change the membership; without it only calls from loopback may. It has no flag: others could read it in the list of processes"},
	}
}

func raftSettings() []setting {
	return []setting{
		{key: "raft.log_store", flag: "raft-log-store", std: "wal",
			value: choice(func(c *Config) *string { return &c.Raft.LogStore }, "wal", "boltdb"),
			usage: "the store of the replicated log; kept for the life of a data directory"},
		{key: "raft.segment_bytes", flag: "raft-segment-bytes",
			value: size(func(c *Config) *int64 { return &c.Raft.SegmentBytes }, 1<<20, 1<<30),
			usage: "what the log of kind wal takes from the disk at a time; when not given 64MiB, or a 64th of a disk below 4GiB, but no less than 4MiB"},
		{key: "raft.heartbeat_timeout", flag: "raft-heartbeat-timeout", std: "500ms",
			value: duration(func(c *Config) *time.Duration { return &c.Raft.HeartbeatTimeout }),
			usage: "how long a follower hears nothing before it stands for election"},
		{key: "raft.election_timeout", flag: "raft-election-timeout", std: "500ms",
			value: duration(func(c *Config) *time.Duration { return &c.Raft.ElectionTimeout }),
			usage: "how long a candidate waits for votes; not below the heartbeat timeout"},
		{key: "raft.leader_lease_timeout", flag: "raft-leader-lease-timeout", std: "400ms",
			value: duration(func(c *Config) *time.Duration { return &c.Raft.LeaderLeaseTimeout }),
			usage: "how long a leader reaches no quorum before it steps down; not above the heartbeat timeout"},
		{key: "raft.commit_timeout", flag: "raft-commit-timeout", std: "50ms",
			value: duration(func(c *Config) *time.Duration { return &c.Raft.CommitTimeout }),
			usage: "how long a leader with nothing to send waits before it tells the commit index again"},
		{key: "raft.snapshot_interval", flag: "raft-snapshot-interval", std: "2m",
			value: duration(func(c *Config) *time.Duration { return &c.Raft.SnapshotInterval }),
			usage: "how often a node looks whether a snapshot is due"},
		{key: "raft.snapshot_threshold", flag: "raft-snapshot-threshold", std: "8192",
			value: count(func(c *Config) *int { return &c.Raft.SnapshotThreshold }, 16, 1<<30),
			usage: "how many log entries since the last snapshot make the next one due"},
		{key: "raft.trailing_logs", flag: "raft-trailing-logs", std: "10240",
			value: count(func(c *Config) *int { return &c.Raft.TrailingLogs }, 1, 1<<30),
			usage: "how many log entries stay after a snapshot, so that a slow follower needs no snapshot"},
		{key: "raft.snapshot_bytes", flag: "raft-snapshot-bytes", std: "512MiB",
			value: size(func(c *Config) *int64 { return &c.Raft.SnapshotBytes }, 1<<20, 1<<40),
			usage: "how many bytes of log entries since the last snapshot make the next one due, whatever their number"},
		{key: "raft.trailing_bytes", flag: "raft-trailing-bytes", std: "256MiB",
			value: size(func(c *Config) *int64 { return &c.Raft.TrailingBytes }, 1<<20, 1<<40),
			usage: "how many bytes of log entries stay after a snapshot at most, but for the last entry"},
	}
}

func transportSettings() []setting {
	return []setting{
		{key: "http.stream_base_path", flag: "stream-base-path", std: "/v1/stream",
			value: text(func(c *Config) *string { return &c.HTTP.BasePath }),
			usage: "the path below which streams live"},
		{key: "http.cors_origins", flag: "cors-origins", std: "*",
			value: origins(func(c *Config) *[]string { return &c.HTTP.CORSOrigins }),
			usage: "where pages come from that browsers may let call, comma-separated"},
		{key: "http.allow_wildcard_cors", flag: "allow-wildcard-cors", std: "false",
			value: flag(func(c *Config) *bool { return &c.HTTP.allowWildcardCORS }),
			usage: "let the profiles for production run with http.cors_origins = \"*\""},
		{key: "http.state_offsets", flag: "state-offsets", std: "false",
			value: flag(func(c *Config) *bool { return &c.HTTP.StateOffsets }),
			usage: "show in events of the State Protocol, as headers.offset of reads, where their append ends"},
		{key: longPollKey, flag: "long-poll-timeout", std: "30s",
			value: duration(func(c *Config) *time.Duration { return &c.HTTP.LongPollTimeout }),
			usage: "how long a long-poll waits for data before 204"},
		{key: longPollKey + "_secs", alias: longPollKey, value: seconds(),
			usage: "the older name of the above, in decimal seconds"},
		{key: "server.long_poll_timeout_secs", alias: longPollKey, legacy: true, value: seconds(),
			usage: "the Rust server's older name of the same"},
		{key: sseReconnectKey, flag: "sse-reconnect-interval", std: "60s",
			value: duration(func(c *Config) *time.Duration { return &c.HTTP.SSEReconnectInterval }),
			usage: "how long one SSE connection lives before the client is asked to come again"},
		{key: sseReconnectKey + "_secs", alias: sseReconnectKey, value: seconds(),
			usage: "the older name of the above, in decimal seconds"},
		{key: "server.sse_reconnect_interval_secs", alias: sseReconnectKey, legacy: true, value: seconds(),
			usage: "the Rust server's older name of the same"},
		{key: "transport.connection.sse_keep_alive", flag: "sse-keep-alive", std: "15s",
			value: duration(func(c *Config) *time.Duration { return &c.HTTP.SSEKeepAlive }),
			usage: "how long an SSE connection is silent before a comment shows that it lives"},
		{key: "transport.connection.slow_reader_timeout", flag: "slow-reader-timeout", std: "30s",
			value: duration(func(c *Config) *time.Duration { return &c.HTTP.SlowReaderTimeout }),
			usage: "how long a reader may take to accept what was written to it before it is cut"},
		{key: "transport.connection.no_leader_grace", flag: "no-leader-grace", std: "2s",
			value: duration(func(c *Config) *time.Duration { return &c.HTTP.NoLeaderGrace }),
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
			value: flag(func(c *Config) *bool { return &c.Webhooks.AllowInsecure }),
			usage: "also take webhooks at `http://localhost` and `http://127.0.0.1`, for development; other private addresses are refused all the same"},
		{key: "webhooks.key_encryption_key", secret: true,
			value: keyEncryptionKey(func(c *Config) *[]byte { return &c.Webhooks.Key }),
			usage: "32 bytes in base64 or hexadecimal, the same on every node, that seal the private signing keys; without one the log, the snapshots and every backup hold them in plain. It has no flag: others could read it in the list of processes"},
		{key: "webhooks.key_encryption_key_file", flag: "webhooks-key-encryption-key-file",
			value: text(func(c *Config) *string { return &c.Webhooks.KeyFile }),
			usage: "a file that holds that key, in place of the variable"},
	}
}

func logSettings() []setting {
	return []setting{
		{key: logLevelKey, flag: "log-level", std: "info", dev: "error",
			value: choice(func(c *Config) *string { return &c.Log.Level }, "debug", "info", "warn", "error"),
			usage: "the lowest level that is logged, to standard error"},
		{key: "observability.rust_log", alias: logLevelKey, value: rustLog(),
			usage: "the Rust server's name of the above; of a filter with targets the level for all counts"},
		{key: "log.rust_log", alias: logLevelKey, legacy: true, value: rustLog(),
			usage: "the Rust server's older name of the same"},
		{key: "observability.log_format", flag: "log-format", std: "text",
			value: choice(func(c *Config) *string { return &c.Log.Format }, "text", "json"),
			usage: "how log lines are written"},
		{key: "observability.otlp_endpoint", flag: "otlp-endpoint",
			value: webURL(func(c *Config) *string { return &c.Log.OTLPEndpoint }),
			usage: "where traces are sent, by OTLP over HTTP, such as `http://127.0.0.1:4318` (`/v1/traces` when there is no path); no traces when not given"},
		{key: "observability.otlp_headers", secret: true,
			value: headerPairs(func(c *Config) *[]string { return &c.Log.OTLPHeaders }),
			usage: "headers for that, such as credentials. It has no flag: others could read it in the list of processes"},
		{key: "observability.trace_share", flag: "trace-share", std: "1",
			value: share(func(c *Config) *float64 { return &c.Log.TraceShare }),
			usage: "which share of the requests is traced, from 0 to 1; what a caller's traceparent says wins"},
	}
}

// Names of commands that settings refer to.
const (
	Dev   = "dev"
	Serve = "serve"
)
