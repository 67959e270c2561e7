package settings

import (
	"net"
	"strings"
	"time"

	"mainstem/storage"
)

// Config is what the table of settings fills in. Its sections are those of the
// table; a field that a command does not use keeps its default.
type Config struct {
	Notes []string // what should be written differently, for the log
	Told  Told

	Server  Server
	Storage Storage
	Cluster Cluster
	Raft    Raft
	HTTP    HTTP
	TLS     TLS
	Proxy   Proxy
	Auth    Auth
	Limits  Limits
	Log     Log

	Webhooks Webhooks
}

// Server is the sections of listeners: where a node serves and how it stops.
type Server struct {
	Addr              string
	PublicURL         string
	AdminAddr         string // "" for none
	ShutdownTimeout   time.Duration
	DrainSpread       time.Duration
	ReadHeaderTimeout time.Duration
	IdleTimeout       time.Duration
}

// Storage is where the data lies, and what memory and disk it may take.
type Storage struct {
	Mode          string
	DataDir       string
	Temporary     bool // removed at exit; no setting
	memoryBytes   int64
	cacheBytes    int64 // 0: a part of memoryBytes; so the next
	memTableBytes int64
	Soft, Hard    storage.Mark // of free disk space
	BallastBytes  int64
	ScrubBytes    int64 // per second
	ScrubInterval time.Duration
}

// Cluster is who this node is and how it finds the others.
type Cluster struct {
	NodeID          string
	PeerAddr        string
	GossipAddr      string
	advertiseHost   string
	Join            []string
	BootstrapExpect int
	SubmitTimeout   time.Duration
	AdminToken      string
	TLS             PeerTLS
	Gossip          Gossip
}

// Raft is the timing and the log of the replication.
type Raft struct {
	LogStore           string
	SegmentBytes       int64
	HeartbeatTimeout   time.Duration
	ElectionTimeout    time.Duration
	LeaderLeaseTimeout time.Duration
	CommitTimeout      time.Duration
	SnapshotInterval   time.Duration
	SnapshotThreshold  int
	TrailingLogs       int
	SnapshotBytes      int64
	TrailingBytes      int64
}

// HTTP is how the protocol is served.
type HTTP struct {
	BasePath             string
	CORSOrigins          []string
	allowWildcardCORS    bool
	StateOffsets         bool
	LongPollTimeout      time.Duration
	SSEReconnectInterval time.Duration
	SSEKeepAlive         time.Duration
	NoLeaderGrace        time.Duration
	SlowReaderTimeout    time.Duration
}

// TLS is how clients' connections are secured, and what is spoken on them.
type TLS struct {
	Mode       string
	versions   []string
	CertPath   string
	KeyPath    string
	ClientCA   string
	MinVersion string
	MaxVersion string
	ALPN       []string
}

// Auth is who is let in. Nobody is kept out when no way in is named.
type Auth struct {
	AllowAnonymous bool
	KeysPath       string
	SignedSecret   string
	SignedPath     string
	JWTKeyPath     string
	JWKSPath       string
	JWKSURL        string
	Issuer         string
	Audience       string
	Algorithms     []string
	Cookie         string
	ForwardURL     string
	CopyHeaders    []string
	ForwardTimeout time.Duration
	ForwardAtOnce  int
	ForwardCache   time.Duration
}

// named tells whether any way in is.
func (a Auth) named() bool {
	return a.KeysPath != "" || a.SignedSecret != "" || a.SignedPath != "" || a.TakesJWT() || a.ForwardURL != ""
}

// TakesJWT reports that some key for JWTs is named.
func (a Auth) TakesJWT() bool { return a.JWTKeyPath != "" || a.JWKSPath != "" || a.JWKSURL != "" }

// Limits bounds what clients take.
type Limits struct {
	BodyBytes   int64
	HeaderBytes int64
	ChunkBytes  int64
	LiveReaders int

	NameBytes, NameSegments int   // of new streams; 0 segments: any number
	streamBytes, totalBytes int64 // of data; 0: not given; see stored
	Connections             int   // 0: what descriptors allow
	InFlightBytes           int64
	ForwardedBytes          int64
	OutgoingBytes           int64
	ClientRequests          int   // a second; 0: any number
	ClientBytes             int64 // a second; 0: any amount
}

// Webhooks is how subscriptions are delivered.
type Webhooks struct {
	AllowInsecure bool
	Key           []byte // that seals signing keys; nil for none
	KeyFile       string
}

// Log is what is told of the work.
type Log struct {
	Level  string
	Format string

	OTLPEndpoint string   // "": no traces
	OTLPHeaders  []string // NAME=VALUE
	TraceShare   float64
}

// Advertised is the name under which others reach a listener that was asked to
// listen at listen. bound is where it really listens, which tells the port when
// 0 was asked for.
func (c *Cluster) Advertised(bound net.Addr) string {
	_, port, err := net.SplitHostPort(bound.String())
	if err != nil { // not a TCP or UDP address, which cannot be advertised better
		return bound.String()
	}
	return net.JoinHostPort(c.Host(), port)
}

// AdvertisedGossip is the name of the gossip port for others, or "" to leave it
// to gossip: it listens at a dialable address, or finds one of this machine.
func (c *Cluster) AdvertisedGossip() string {
	_, port, err := net.SplitHostPort(c.GossipAddr)
	if err != nil || port == "0" || c.advertiseHost == "" {
		return ""
	}
	return net.JoinHostPort(c.advertiseHost, port)
}

// Host is --advertise-host, or else the host of --peer-addr.
func (c *Cluster) Host() string {
	if c.advertiseHost != "" {
		return c.advertiseHost
	}
	host, _, _ := net.SplitHostPort(c.PeerAddr)
	return host
}

// Dialable tells whether others can dial a host: an empty one and 0.0.0.0 mean
// "every address of mine", which is the name of nobody.
func Dialable(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host != "" && (ip == nil || !ip.IsUnspecified())
}
