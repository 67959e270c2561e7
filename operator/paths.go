package operator

// Paths of what tells how a node is. They are served to clients too, since who
// sends clients to a port wants to ask that port.
const (
	LivePath   = "/livez"
	StartPath  = "/startupz"
	ReadyPath  = "/readyz"
	HealthPath = "/healthz"
)

// Paths of operators' tools.
const (
	MetricsPath  = "/metrics"
	ProfilesPath = "/debug/pprof/"
)

// Paths of what operators are told of a cluster and change about it.
const (
	PathPrefix     = "/v1/cluster/" // all that follow begin with it
	StatusPath     = "/v1/cluster/status"
	MembersPath    = "/v1/cluster/members"
	JoinPath       = "/v1/cluster/join"
	TransferPath   = "/v1/cluster/transfer-leader"
	KeyringPath    = "/v1/cluster/keyring"
	RotateKeyPath  = "/v1/cluster/rotate-webhook-key"
	BackupPath     = "/v1/cluster/backup"
	BackupDonePath = "/v1/cluster/backup/done"
	ConfigPath     = "/v1/cluster/config"
	LogPath        = "/v1/cluster/log"
	ChecksumPath   = "/v1/cluster/checksum"
)

// Parameters of BackupPath: what the base is, and whether the leader is not asked.
const (
	ParamBaseCluster = "base_cluster"
	ParamBaseIndex   = "base_index"
	ParamLocal       = "local"
)

// Of LogPath: how many lines are asked for, how many there are at most, and
// the header that says how many were before them.
const (
	ParamLines        = "lines"
	LogLinesMax       = 2000
	LinesBeforeHeader = "Log-Lines-Before"
)
