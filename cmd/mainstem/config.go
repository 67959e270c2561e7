package main

import (
	"net"
	"strings"
	"time"

	"mainstem/storage"
)

// config is what the table of settings fills in. Its sections are those of the
// table; a field that a command does not use keeps its default.
type config struct {
	notes []string // what should be written differently, for the log
	told  toldSettings

	server  serverConfig
	storage storageConfig
	cluster clusterConfig
	raft    raftConfig
	http    httpConfig
	tls     tlsConfig
	proxy   proxyConfig
	auth    authConfig
	limits  limitsConfig
	log     logConfig

	webhooks webhooksConfig
}

type serverConfig struct {
	addr              string
	publicURL         string
	adminAddr         string // "" for none
	shutdownTimeout   time.Duration
	drainSpread       time.Duration
	readHeaderTimeout time.Duration
	idleTimeout       time.Duration
}

type storageConfig struct {
	mode          string
	dataDir       string
	temporary     bool // removed at exit; no setting
	memoryBytes   int64
	cacheBytes    int64 // 0: a part of memoryBytes; so the next
	memTableBytes int64
	soft, hard    storage.Mark // of free disk space
	ballastBytes  int64
	scrubBytes    int64 // per second
	scrubInterval time.Duration
}

type clusterConfig struct {
	nodeID          string
	peerAddr        string
	gossipAddr      string
	advertiseHost   string
	join            []string
	bootstrapExpect int
	submitTimeout   time.Duration
	adminToken      string
	tls             peerTLSConfig
	gossip          gossipConfig
}

type raftConfig struct {
	logStore           string
	segmentBytes       int64
	heartbeatTimeout   time.Duration
	electionTimeout    time.Duration
	leaderLeaseTimeout time.Duration
	commitTimeout      time.Duration
	snapshotInterval   time.Duration
	snapshotThreshold  int
	trailingLogs       int
	snapshotBytes      int64
	trailingBytes      int64
}

type httpConfig struct {
	basePath             string
	corsOrigins          []string
	allowWildcardCORS    bool
	stateOffsets         bool
	longPollTimeout      time.Duration
	sseReconnectInterval time.Duration
	sseKeepAlive         time.Duration
	noLeaderGrace        time.Duration
	slowReaderTimeout    time.Duration
}

// tlsConfig is how clients' connections are secured, and what is spoken on them.
type tlsConfig struct {
	mode       string
	versions   []string
	certPath   string
	keyPath    string
	clientCA   string
	minVersion string
	maxVersion string
	alpn       []string
}

// authConfig is who is let in. Nobody is kept out when no way in is named.
type authConfig struct {
	allowAnonymous bool
	keysPath       string
	signedSecret   string
	signedPath     string
	jwtKeyPath     string
	jwksPath       string
	jwksURL        string
	issuer         string
	audience       string
	algorithms     []string
	cookie         string
	forwardURL     string
	copyHeaders    []string
	forwardTimeout time.Duration
	forwardAtOnce  int
	forwardCache   time.Duration
}

// named tells whether any way in is.
func (a authConfig) named() bool {
	return a.keysPath != "" || a.signedSecret != "" || a.signedPath != "" || a.takesJWT() || a.forwardURL != ""
}

func (a authConfig) takesJWT() bool { return a.jwtKeyPath != "" || a.jwksPath != "" || a.jwksURL != "" }

type limitsConfig struct {
	bodyBytes   int64
	headerBytes int64
	chunkBytes  int64
	liveReaders int

	nameBytes, nameSegments int   // of new streams; 0 segments: any number
	streamBytes, totalBytes int64 // of data; 0: not given; see stored
	connections             int   // 0: what descriptors allow
	inFlightBytes           int64
	forwardedBytes          int64
	outgoingBytes           int64
	clientRequests          int   // a second; 0: any number
	clientBytes             int64 // a second; 0: any amount
}

type webhooksConfig struct {
	allowInsecure bool
	key           []byte // that seals signing keys; nil for none
	keyFile       string
}

type logConfig struct {
	level  string
	format string

	otlpEndpoint string   // "": no traces
	otlpHeaders  []string // NAME=VALUE
	traceShare   float64
}

// advertised is the name under which others reach a listener that was asked to
// listen at listen. bound is where it really listens, which tells the port when
// 0 was asked for.
func (c *clusterConfig) advertised(bound net.Addr) string {
	_, port, err := net.SplitHostPort(bound.String())
	if err != nil { // not a TCP or UDP address, which cannot be advertised better
		return bound.String()
	}
	return net.JoinHostPort(c.host(), port)
}

// advertisedGossip is the name of the gossip port for others, or "" to leave it
// to gossip: it listens at a dialable address, or finds one of this machine.
func (c *clusterConfig) advertisedGossip() string {
	_, port, err := net.SplitHostPort(c.gossipAddr)
	if err != nil || port == "0" || c.advertiseHost == "" {
		return ""
	}
	return net.JoinHostPort(c.advertiseHost, port)
}

// host is --advertise-host, or else the host of --peer-addr.
func (c *clusterConfig) host() string {
	if c.advertiseHost != "" {
		return c.advertiseHost
	}
	host, _, _ := net.SplitHostPort(c.peerAddr)
	return host
}

// dialable tells whether others can dial a host: an empty one and 0.0.0.0 mean
// "every address of mine", which is the name of nobody.
func dialable(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host != "" && (ip == nil || !ip.IsUnspecified())
}
