package settings

import "mainstem/stream"

const totalBytesKey = "limits.max_total_bytes"

// limitSettings are what one node takes of everyone, and what each client may take
// of it.
func limitSettings() []setting {
	return []setting{
		{key: "limits.max_body_bytes", flag: "max-body-bytes", std: "10MiB",
			value: size(func(c *Config) *int64 { return &c.Limits.BodyBytes }, 1, BodyBytesMax),
			usage: "the largest body of a request; 413 above it"},
		{key: "limits.max_header_bytes", flag: "max-header-bytes", std: "64KiB",
			value: size(func(c *Config) *int64 { return &c.Limits.HeaderBytes }, 1<<10, 1<<20),
			usage: "the largest request line and headers together"},
		{key: "limits.chunk_bytes", flag: "chunk-bytes", std: "1MiB",
			value: size(func(c *Config) *int64 { return &c.Limits.ChunkBytes }, 1, 64<<20),
			usage: "how much one catch-up read returns; a single larger append is returned whole"},
		{key: "limits.max_live_readers", flag: "max-live-readers", std: "100000",
			value: count(func(c *Config) *int { return &c.Limits.LiveReaders }, 1, 10_000_000),
			usage: "long-polls and SSE connections at once; 429 above it"},
		{key: "limits.max_stream_name_bytes", flag: "max-stream-name-bytes", std: "1024",
			value: count(func(c *Config) *int { return &c.Limits.NameBytes }, 1, stream.NameBytesMax),
			usage: "the longest name of a new stream, escaped; 414 above it"},
		{key: "limits.max_stream_name_segments", flag: "max-stream-name-segments", std: "0",
			value: count(func(c *Config) *int { return &c.Limits.NameSegments }, 0, stream.NameBytesMax),
			usage: "the most segments that the name of a new stream may have; 0 for any number"},
		{key: "limits.max_stream_bytes", flag: "max-stream-bytes",
			value: boundless(func(c *Config) *int64 { return &c.Limits.streamBytes }),
			usage: "how much one stream may hold, of a fork without what it inherits; 413 above it, 0 for any amount; when not given any amount, or 10MiB with storage.mode memory. The leader's setting counts"},
		{key: totalBytesKey, flag: "max-total-bytes",
			value: boundless(func(c *Config) *int64 { return &c.Limits.totalBytes }),
			usage: "how much all streams together may hold, counted once and not on each node; 413 above it, 0 for any amount; when not given any amount, or 100MiB with storage.mode memory. The leader's setting counts"},
		{key: "limits.max_memory_bytes", alias: totalBytesKey, value: olderSize(),
			usage: "the Rust server's name of the above; the data is on disk here"},
		{key: "limits.max_connections", flag: "max-connections", std: "0",
			value: count(func(c *Config) *int { return &c.Limits.Connections }, 0, 10_000_000),
			usage: "connections of clients at once; 503 above it, and then they are closed. 0 for what the limit of open files leaves when the node has its own"},
		{key: "limits.max_in_flight_bytes", flag: "max-in-flight-bytes", std: "64MiB",
			value: size(func(c *Config) *int64 { return &c.Limits.InFlightBytes }, 1<<20, 1<<40),
			usage: "what requests that write may hold together until they are answered, each with 8KiB beside its body; 503 above it, before a body is read"},
		{key: "limits.max_forwarded_bytes", flag: "max-forwarded-bytes", std: "128MiB",
			value: size(func(c *Config) *int64 { return &c.Limits.ForwardedBytes }, 64<<20, 1<<40),
			usage: "what other nodes may have on its way through this one while it leads; above it they wait"},
		{key: "limits.max_outgoing_bytes", flag: "max-outgoing-bytes", std: "128MiB",
			value: size(func(c *Config) *int64 { return &c.Limits.OutgoingBytes }, 1<<20, 1<<40),
			usage: "what may be read for one reader each and not taken yet, of all readers together; above it reads are answered 503 and SSE connections that are behind end"},
		{key: "limits.max_client_requests", flag: "max-client-requests", std: "0",
			value: count(func(c *Config) *int { return &c.Limits.ClientRequests }, 0, 10_000_000),
			usage: "requests that one client may make in a second of one node; 429 above it, 0 for any number. A client is an API key, the subject of a JWT, or else an address (of IPv6 its first 64 bits)"},
		{key: "limits.max_client_bytes", flag: "max-client-bytes", std: "0",
			value: size(func(c *Config) *int64 { return &c.Limits.ClientBytes }, 0, 1<<40),
			usage: "bytes of bodies that one client may send and read in a second, but for events of SSE; 429 above it, 0 for any amount"},
	}
}

// What streams may hold in memory when nothing is said, as in the Rust server.
const (
	memoryStreamBytes = 10 << 20
	memoryTotalBytes  = 100 << 20
)

// noLimit is what a limit that is given as 0 is kept as; 0 is one that is not given.
const noLimit = -1

// boundless is a limit of bytes that 0 takes away.
func boundless(field func(*Config) *int64) value {
	v := size(field, 0, 1<<60)
	put := v.put
	v.put = func(c *Config, s string) error {
		if err := put(c, s); err != nil {
			return err
		}
		if *field(c) == 0 {
			*field(c) = noLimit
		}
		return nil
	}
	return v
}

// Stored are the limits of what streams hold.
func (c *Config) Stored() (l stream.Limits) {
	limit := func(given, inMemory int64) uint64 {
		if given == 0 && c.Storage.InMemory() {
			given = inMemory
		}
		return uint64(max(given, 0))
	}
	return stream.Limits{
		StreamBytes: limit(c.Limits.streamBytes, memoryStreamBytes),
		TotalBytes:  limit(c.Limits.totalBytes, memoryTotalBytes),
	}
}

// olderSize is an older name of a setting that is a size.
func olderSize() value {
	return value{kind: "bytes", number: true, rewrite: func(s string) (string, error) {
		err := size(func(*Config) *int64 { return new(int64) }, 0, 1<<60).put(new(Config), s)
		return s, err
	}}
}
