package deliver

import (
	"crypto/ed25519"
	"encoding/base64"
	"strconv"
	"time"
)

const headerSignature = "Webhook-Signature"

// signature is the value of Webhook-Signature (§7.1): over the time, a dot and the
// body's bytes.
func signature(key *signingKey, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	signed := append([]byte(t+"."), body...)
	return "t=" + t + ",kid=" + key.kid + ",ed25519=" + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key.private, signed))
}
