package settings

import "fmt"

// What storage.mode may be. The first three are one here.
const (
	ModeFileDurable = "file-durable"
	ModeACID        = "acid"
	ModeFileFast    = "file-fast"
	ModeMemory      = "memory"
)

// What a node that keeps nothing holds of its log at most, beside the streams: a
// single node has nobody to send it to, and it takes memory.
const (
	memorySnapshotBytes = 32 << 20
	memoryTrailingBytes = 1 << 20
	memoryTrailingLogs  = 64
)

// InMemory reports a node that keeps nothing.
func (c *Storage) InMemory() bool { return c.Mode == ModeMemory }

// memoryRules are broken by a cluster one of whose nodes forgets everything: it
// would acknowledge, come back empty and vote.
func (c *Config) memoryRules() (problems []error) {
	if !c.Storage.InMemory() {
		return nil
	}
	if len(c.Cluster.Join) > 0 {
		problems = append(problems, fmt.Errorf("storage.mode (--storage-mode): memory is for one node alone, and cluster.join (--join) names others; take one of the two out"))
	}
	if c.Cluster.BootstrapExpect > 1 {
		problems = append(problems, fmt.Errorf("storage.mode (--storage-mode): memory is for one node alone, and cluster.bootstrap_expect (--bootstrap-expect) is %d; take one of the two out", c.Cluster.BootstrapExpect))
	}
	return problems
}

// Alone makes a node one that nobody finds and that looks for nobody.
func (c Cluster) Alone() Cluster {
	return Cluster{NodeID: c.NodeID, PeerAddr: "127.0.0.1:0", BootstrapExpect: 1, SubmitTimeout: c.SubmitTimeout, AdminToken: c.AdminToken}
}

// Forgetful is a config for a node that keeps nothing.
func (c Config) Forgetful() Config {
	c.Cluster = c.Cluster.Alone()
	c.Raft.SnapshotBytes = min(c.Raft.SnapshotBytes, memorySnapshotBytes)
	c.Raft.TrailingBytes = min(c.Raft.TrailingBytes, memoryTrailingBytes)
	c.Raft.TrailingLogs = min(c.Raft.TrailingLogs, memoryTrailingLogs)
	return c
}
