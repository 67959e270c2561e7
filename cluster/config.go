package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"mainstem/stream"
)

// Limits that are not for configuration.
const (
	nodeIDBytesMax  = 64
	addressBytesMax = 128 // two addresses, an id and a cluster id fit into gossip metadata
	versionBytesMax = 32
	waitersMax      = 65536 // callers that wait for room in the open batch
	raftAppendMax   = 8     // entries per AppendEntries, of up to 32 MiB each
)

// Machine is what the cluster drives: the replicated state machine. Apply and
// ApplyBatch return one []stream.Result per command entry.
type Machine interface {
	raft.BatchingFSM

	// Applied is the index of the last command or configuration entry that was
	// applied here.
	Applied() uint64
	// WaitApplied returns nil once Applied has reached index.
	WaitApplied(ctx context.Context, index uint64) error
}

// Stores are this node's durable parts.
type Stores struct {
	Log       raft.LogStore // durable before StoreLogs returns
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore
	Identity  IdentityStore
}

// Config configures a Node. Zero values mean the documented default.
type Config struct {
	NodeID        string // required
	AdvertisePeer string // required: HOST:PORT by which others dial the peer port
	AdvertiseHTTP string // HOST:PORT or URL of the client port, shown in status
	Version       string // of this program, shown in status
	Level         byte   // of what this program understands in the log; stream.Level

	Join            []string // gossip addresses of others; this node's own is ignored
	BootstrapExpect int      // 1

	MaxBatchBytes    int           // 1 MiB
	MaxBatchCommands int           // 1000
	BatchesInFlight  int           // 0: one alone, two in a cluster
	SubmitTimeout    time.Duration // 10 s, from the first command of a batch to its answer

	HeartbeatTimeout   time.Duration // 500 ms
	ElectionTimeout    time.Duration // 500 ms
	LeaderLeaseTimeout time.Duration // 400 ms
	CommitTimeout      time.Duration // 50 ms

	SnapshotThreshold uint64        // 8192 entries
	SnapshotInterval  time.Duration // 2 min
	SnapshotBytes     uint64        // 512 MiB of entries since the last snapshot, whatever their number
	TrailingLogs      uint64        // 10240 entries stay after a snapshot ...
	TrailingBytes     uint64        // ... and 256 MiB of them at most, but for the last one
	RestoreOnStart    bool          // restore the newest snapshot: only when the machine is behind it

	Limits         stream.Limits // of what is stored; they count while this node leads; none
	ForwardedBytes int64         // of batches that others may have on their way through this leader; 128 MiB

	StabilizationTime time.Duration // 2 s caught up before a new member votes
	StatusInterval    time.Duration // 1 s between exchanges with each peer
	ReadyLagMax       uint64        // 1024 entries behind the leader

	Keyring *Keyring                  // of gossip, which the Node changes; nil: gossip is not encrypted
	Disk    func() Disk               // of this node, now; nil: never full. See Node.DiskChanged
	Now     func() time.Time          // time.Now
	Log     *slog.Logger              // slog.DiscardHandler
	Tracer  trace.Tracer              // of the batches in which traced requests ride; nil: none
	Metrics prometheus.Registerer     // none
	Lead    func(ctx context.Context) // runs while this node leads and has passed its barrier
	Watched func() bool               // whether live readers wait for what is committed; nil: always
	Health  Health                    // always well
	Note    func() json.RawMessage    // what else to tell the other members; short; nothing
}

// Validate names the setting that is wrong.
func (c Config) Validate() error {
	switch {
	case c.NodeID == "" || len(c.NodeID) > nodeIDBytesMax:
		return fmt.Errorf("node id %q must have 1 to %d bytes", c.NodeID, nodeIDBytesMax)
	case c.BootstrapExpect < 0:
		return fmt.Errorf("bootstrap expect %d must not be negative", c.BootstrapExpect)
	case c.MaxBatchBytes < 0 || c.MaxBatchBytes > entryBytesMax:
		return fmt.Errorf("max batch bytes %d must be from 0 to %d", c.MaxBatchBytes, entryBytesMax)
	case c.MaxBatchCommands < 0 || c.BatchesInFlight < 0:
		return errors.New("max batch commands and batches in flight must not be negative")
	case len(c.Version) > versionBytesMax:
		return fmt.Errorf("version %q must have at most %d bytes", c.Version, versionBytesMax)
	case len(c.AdvertiseHTTP) > addressBytesMax || len(c.AdvertisePeer) > addressBytesMax:
		return fmt.Errorf("advertised addresses must have at most %d bytes", addressBytesMax)
	}
	if _, port, err := net.SplitHostPort(c.AdvertisePeer); err != nil || port == "" {
		return fmt.Errorf("advertised peer address %q is not HOST:PORT", c.AdvertisePeer)
	}
	d := c.withDefaults()
	if d.LeaderLeaseTimeout > d.HeartbeatTimeout {
		return fmt.Errorf("raft leader lease timeout %v must not exceed the heartbeat timeout %v", d.LeaderLeaseTimeout, d.HeartbeatTimeout)
	}
	if d.ElectionTimeout < d.HeartbeatTimeout {
		return fmt.Errorf("raft election timeout %v must not be below the heartbeat timeout %v", d.ElectionTimeout, d.HeartbeatTimeout)
	}
	rc := raft.DefaultConfig()
	d.applyTo(rc)
	return raft.ValidateConfig(rc)
}

func (c Config) withDefaults() Config {
	orInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	orTime := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	orCount := func(v *uint64, d uint64) {
		if *v == 0 {
			*v = d
		}
	}
	orInt(&c.BootstrapExpect, 1)
	if c.Level == 0 {
		c.Level = stream.Level
	}
	orInt(&c.MaxBatchBytes, 1<<20)
	orInt(&c.MaxBatchCommands, 1000)
	orTime(&c.SubmitTimeout, 10*time.Second)
	orTime(&c.HeartbeatTimeout, 500*time.Millisecond)
	orTime(&c.ElectionTimeout, max(500*time.Millisecond, c.HeartbeatTimeout))
	orTime(&c.LeaderLeaseTimeout, min(400*time.Millisecond, c.HeartbeatTimeout))
	orTime(&c.CommitTimeout, 50*time.Millisecond)
	orCount(&c.SnapshotThreshold, 8192)
	orTime(&c.SnapshotInterval, 2*time.Minute)
	orCount(&c.SnapshotBytes, 512<<20)
	orCount(&c.TrailingLogs, 10240)
	orCount(&c.TrailingBytes, 256<<20)
	orTime(&c.StabilizationTime, 2*time.Second)
	orTime(&c.StatusInterval, time.Second)
	orCount(&c.ReadyLagMax, 1024)
	if c.ForwardedBytes == 0 {
		c.ForwardedBytes = 128 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Watched == nil {
		c.Watched = func() bool { return true }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Health == nil {
		c.Health = well{}
	}
	if c.Note == nil {
		c.Note = func() json.RawMessage { return nil }
	}
	return c
}

// applyTo sets what raft needs to know. MaxAppendEntries counts entries, not
// bytes, so it stays small.
func (c Config) applyTo(rc *raft.Config) {
	rc.LocalID = raft.ServerID(c.NodeID)
	rc.HeartbeatTimeout = c.HeartbeatTimeout
	rc.ElectionTimeout = c.ElectionTimeout
	rc.LeaderLeaseTimeout = c.LeaderLeaseTimeout
	rc.CommitTimeout = c.CommitTimeout
	rc.SnapshotThreshold = c.SnapshotThreshold
	rc.SnapshotInterval = c.SnapshotInterval
	rc.TrailingLogs = c.TrailingLogs
	rc.NoSnapshotRestoreOnStart = !c.RestoreOnStart
	rc.MaxAppendEntries = raftAppendMax
	rc.BatchApplyCh = false // the proposer batches; an unbuffered hand-over cannot strand a future at shutdown
	rc.ShutdownOnRemove = false
	rc.NoLegacyTelemetry = true
}

// stamp is a clock reading as machine time.
func (c Config) stamp() stream.Time { return stream.TimeOf(c.Now()) }
