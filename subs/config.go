package subs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"mainstem/stream"
)

// Limits of what a client may ask for.
const (
	LeaseTTLMin     = time.Second
	LeaseTTLMax     = 10 * time.Minute
	LeaseTTLDefault = 30 * time.Second
	// StreamsMax is how many streams, or cursors, one request may name.
	StreamsMax = 1000
	// SubscriptionsMax is how many there may be: each is held in memory.
	SubscriptionsMax    = 100_000
	urlBytesMax         = 2048
	descriptionBytesMax = 4096
	workerBytesMax      = 256
)

// Kind is how a subscription wakes its workers. It is stored: append only.
type Kind uint8

const (
	_ Kind = iota
	Webhook
	PullWake
)

// String is the kind's name on the wire.
func (k Kind) String() string {
	switch k {
	case Webhook:
		return "webhook"
	case PullWake:
		return "pull-wake"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ParseKind reads the type of a request.
func ParseKind(s string) (Kind, *Refusal) {
	switch s {
	case "webhook":
		return Webhook, nil
	case "pull-wake":
		return PullWake, nil
	}
	return 0, invalid("the type " + quote(s) + ` is unknown; use "webhook" or "pull-wake"`)
}

// Config is what a client asked for, normalised by Normalise.
type Config struct {
	Kind        Kind
	Pattern     string        `json:",omitempty"`
	Streams     []stream.Name `json:",omitempty"` // explicit; sorted, each once
	URL         string        `json:",omitempty"` // of a webhook
	WakeStream  stream.Name   `json:",omitempty"` // of a pull-wake
	LeaseTTL    time.Duration
	Description string `json:",omitempty"`
}

// Normalise checks c and brings it into its one form, so that equal
// configurations have equal hashes. What the other kind needs is dropped.
func (c *Config) Normalise() *Refusal {
	if c.Pattern != "" {
		p, no := ParsePattern(c.Pattern)
		if no != nil {
			return no
		}
		c.Pattern = p.String()
	}
	slices.Sort(c.Streams)
	c.Streams = slices.Compact(c.Streams)
	if c.LeaseTTL == 0 {
		c.LeaseTTL = LeaseTTLDefault
	}
	switch {
	case c.Pattern == "" && len(c.Streams) == 0:
		return invalid("there is neither a pattern nor a stream; send pattern, streams, or both")
	case len(c.Streams) > StreamsMax:
		return invalid("there are more than 1000 streams; add the others with POST to /streams")
	case c.LeaseTTL < LeaseTTLMin || c.LeaseTTL > LeaseTTLMax || c.LeaseTTL%time.Millisecond != 0:
		return invalid("lease_ttl_ms is not a whole number from 1000 to 600000")
	case len(c.Description) > descriptionBytesMax || !utf8.ValidString(c.Description):
		return invalid("the description is longer than 4096 bytes; use a shorter one")
	}
	switch c.Kind {
	case Webhook:
		c.WakeStream = ""
		if c.URL == "" {
			return invalid("a webhook subscription needs webhook.url")
		}
		if len(c.URL) > urlBytesMax || !utf8.ValidString(c.URL) {
			return invalid("webhook.url is longer than 2048 bytes; use a shorter one")
		}
	case PullWake:
		c.URL = ""
		if c.WakeStream == "" {
			return invalid("a pull-wake subscription needs wake_stream, a JSON stream that the application creates")
		}
		if slices.Contains(c.Streams, c.WakeStream) {
			return ownWakeStream()
		}
	default:
		return invalid(`the type is missing; use "webhook" or "pull-wake"`)
	}
	return nil
}

func ownWakeStream() *Refusal {
	return invalid("streams names the subscription's own wake stream, whose events would wake it for ever; leave it out")
}

// Hash identifies a normalised configuration (§6.2).
func (c *Config) Hash() string {
	b, err := json.Marshal(c)
	if err != nil { // strings and numbers always encode
		panic(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// ParseWorker checks the name that a worker claims under.
func ParseWorker(s string) (string, *Refusal) {
	if s == "" || len(s) > workerBytesMax || !utf8.ValidString(s) {
		return "", invalid("worker is not a text of 1 to 256 bytes; name the worker that claims")
	}
	return s, nil
}
