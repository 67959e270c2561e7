package subs

import (
	"strings"
	"unicode/utf8"

	"mainstem/stream"
)

// ID is the name that a client gave a subscription.
type ID string

const idBytesMax = 256

// ParseID checks the id of a request, unescaped.
func ParseID(s string) (ID, *Refusal) {
	switch {
	case s == "":
		return "", invalid("the subscription id is empty; name one, as in __ds/subscriptions/my-subscription")
	case len(s) > idBytesMax:
		return "", invalid("the subscription id is longer than 256 bytes; use a shorter one")
	case !utf8.ValidString(s):
		return "", invalid("the subscription id is not UTF-8; use text")
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", invalid("the subscription id has a control character; use text")
	}
	return ID(s), nil
}

// ParsePath brings a stream path of a body into the canonical form of names. It
// is relative to the stream root; slashes before it are taken for that root.
func ParsePath(path string) (stream.Name, *Refusal) {
	name, err := stream.ParseName(strings.TrimLeft(path, "/"))
	if err != nil {
		return "", invalid("the stream path " + quote(path) + " cannot be one: " + err.Error())
	}
	if name == reserved || strings.HasPrefix(string(name), reserved+"/") {
		return "", invalid("the stream path " + quote(path) + " is reserved for subscriptions; no stream can be there")
	}
	return name, nil
}

// reserved is the first segment of the control paths (§6).
const reserved = "__ds"

const quotedBytesMax = 64

// quote shows what a client wrote, shortened.
func quote(s string) string {
	if len(s) > quotedBytesMax {
		s = strings.ToValidUTF8(s[:quotedBytesMax], "") + "…"
	}
	return `"` + s + `"`
}
