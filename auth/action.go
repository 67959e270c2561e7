package auth

import (
	"fmt"
	"strings"
)

// Action is what a request does. Each has the scope of the same name.
type Action uint8

// The actions. Closing a stream has no scope of its own: a key that may append
// may close, a token for one stream may not.
const (
	Read Action = iota + 1
	Append
	Close
	Create
	Delete
	Admin // the cluster, listings, profiles: all that is no single stream
	// Subscribe is to have somebody told what comes to be in a stream, for as long as
	// the subscription lives. A key that may read may do it; a token for one stream,
	// which ends, may not.
	Subscribe
)

var actionNames = [...]string{Read: "read", Append: "append", Close: "close", Create: "create", Delete: "delete", Admin: "admin", Subscribe: "subscribe"}

func (a Action) String() string {
	if int(a) < len(actionNames) && actionNames[a] != "" {
		return actionNames[a]
	}
	return fmt.Sprintf("action %d", uint8(a))
}

// actions is a set.
type actions uint8

func setOf(list ...Action) (s actions) {
	for _, a := range list {
		s |= 1 << a
	}
	return s
}

func (s actions) has(a Action) bool { return s&(1<<a) != 0 }

// everything is what the server's own key may do.
var everything = setOf(Read, Append, Close, Create, Delete, Admin, Subscribe)

// scopes are the words of key files and tokens.
func parseScopes(words []string) (actions, error) {
	var s actions
	for _, word := range words {
		switch word {
		case "read":
			s |= setOf(Read, Subscribe)
		case "append":
			s |= setOf(Append, Close)
		case "create":
			s |= setOf(Create)
		case "delete":
			s |= setOf(Delete)
		case "admin":
			s |= everything
		default:
			return 0, fmt.Errorf("scope %q is none of read, append, create, delete, admin", word)
		}
	}
	if s == 0 {
		return 0, fmt.Errorf("no scope is named; want some of read, append, create, delete, admin")
	}
	return s, nil
}

// parsePermissions are the words of tokens for one stream, which may neither
// create nor close nor delete: that is for the server's key.
func parsePermissions(words []string) (actions, error) {
	var s actions
	for _, word := range words {
		switch strings.ToLower(word) {
		case "read":
			s |= setOf(Read)
		case "write":
			s |= setOf(Append)
		default:
			return 0, fmt.Errorf("permission %q is neither read nor write", word)
		}
	}
	if s == 0 {
		return 0, fmt.Errorf("no permission is named")
	}
	return s, nil
}
