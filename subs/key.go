package subs

import (
	"fmt"
	"io"
	"time"

	"mainstem/stream"
)

// KeyRetention is how long a key is published, and its tokens are taken, after
// another has taken its place.
const KeyRetention = 24 * time.Hour

// KeysMax bounds the keys that are kept.
const KeysMax = 16

// Key is a signing key. What Secret holds, and whether it is sealed, is the
// proposer's to know.
type Key struct {
	Kid       string
	Public    []byte
	Secret    []byte
	Sealed    bool        `json:",omitempty"`
	CreatedAt stream.Time `json:",omitempty"`
	RetiredAt stream.Time `json:",omitempty"` // 0 for the active one
}

// Format keeps the secret out of whatever is printed, by any verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "signing key "+k.Kid) }

// putKey adds a key, unless there is one and it is not to be replaced.
func putKey(keys []Key, c PutKey, now stream.Time) (next []Key, put bool) {
	active := len(keys) > 0 && keys[len(keys)-1].RetiredAt == 0
	if active && !c.Rotate || len(c.Key.Kid) == 0 {
		return keys, false
	}
	for _, k := range keys {
		if k.Kid == c.Key.Kid {
			return keys, false
		}
		if k.RetiredAt != 0 && now >= k.RetiredAt.Add(KeyRetention) {
			continue
		}
		if k.RetiredAt == 0 {
			k.RetiredAt, k.Secret = now, nil // what it signed is verified by its public half
		}
		next = append(next, k)
	}
	c.Key.CreatedAt, c.Key.RetiredAt = now, 0
	next = append(next, c.Key)
	return next[max(0, len(next)-KeysMax):], true
}
