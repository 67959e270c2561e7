//go:build tools

package main

// The server that is measured is built from this module too: Debian's cannot sync
// each message.
import _ "github.com/nats-io/nats-server/v2"
