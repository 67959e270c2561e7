package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"mainstem/stream"
)

// SignedConfig is how signed URL tokens are checked.
type SignedConfig struct {
	Secrets [][]byte         // any of them may have signed, so that they can be changed one by one
	Now     func() time.Time // time.Now
}

// Signed checks tokens that a Rails application signs into its URLs: an
// ActiveSupport message, base64, two dashes, and the HMAC-SHA256 of the base64 in
// hexadecimal digits.
type Signed struct{ cfg SignedConfig }

// NewSigned wants at least one secret.
func NewSigned(cfg SignedConfig) (*Signed, error) {
	if len(cfg.Secrets) == 0 {
		return nil, errors.New("signed URLs need a secret")
	}
	for _, s := range cfg.Secrets {
		if len(s) < signedSecretMin {
			return nil, errors.New("a secret of signed URLs is shorter than 16 bytes")
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Signed{cfg}, nil
}

const signedSecretMin = 16

// railsEnvelope is the payload of a token with an expiry or a purpose.
type railsEnvelope struct {
	Rails *railsMessage `json:"_rails"`
}

type railsMessage struct {
	Message string          `json:"message"` // base64 of JSON
	Data    json.RawMessage `json:"data"`    // JSON itself, in newer versions
	Expires *time.Time      `json:"exp"`
	Purpose *string         `json:"pur"`
}

// signedClaims is what the application says.
type signedClaims struct {
	Stream      string   `json:"stream"`
	Permissions []string `json:"permissions"`
}

var errForged = errors.New("is not signed by a key that this server knows")

func (s *Signed) verify(token string) (*Identity, error) {
	token = strings.ReplaceAll(token, " ", "+") // the gem does not escape a plus in a query
	at := strings.LastIndex(token, "--")
	if at < 0 || len(token)-at-2 != 2*sha256.Size {
		return nil, errNotMine
	}
	payload := token[:at]
	digest, err := hex.DecodeString(token[at+2:])
	if err != nil {
		return nil, errNotMine
	}
	if !s.signed(payload, digest) {
		return nil, errForged
	}
	message, err := decodeBase64(payload)
	if err != nil {
		return nil, errors.New("is signed, but not base64")
	}
	claims, err := s.open(message)
	if err != nil {
		return nil, err
	}
	return identityOfStream("signed URL", claims.Stream, claims.Permissions)
}

// signed compares in constant time, with each secret.
func (s *Signed) signed(payload string, digest []byte) bool {
	ok := false
	for _, secret := range s.cfg.Secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(payload))
		if hmac.Equal(mac.Sum(nil), digest) {
			ok = true
		}
	}
	return ok
}

// open takes the claims out of the envelope, if there is one, and judges its
// expiry.
func (s *Signed) open(message []byte) (claims signedClaims, err error) {
	var e railsEnvelope
	if err := json.Unmarshal(message, &e); err != nil {
		return claims, errors.New("is signed, but not JSON")
	}
	if r := e.Rails; r != nil {
		if r.Expires != nil && !s.cfg.Now().Before(*r.Expires) {
			return claims, errExpired
		}
		if r.Purpose != nil {
			return claims, errors.New("is signed for another purpose")
		}
		if message, err = r.inner(); err != nil {
			return claims, errors.New("is signed, but its message is not base64 of JSON")
		}
	}
	if err := json.Unmarshal(message, &claims); err != nil {
		return claims, errors.New("is signed, but names no stream with permissions")
	}
	return claims, nil
}

func (r *railsMessage) inner() ([]byte, error) {
	if len(r.Data) > 0 {
		var text string
		if json.Unmarshal(r.Data, &text) == nil {
			return []byte(text), nil // JSON as a text
		}
		return r.Data, nil
	}
	return decodeBase64(r.Message)
}

// decodeBase64 takes the standard and the URL-safe alphabet, padded or not.
func decodeBase64(text string) ([]byte, error) {
	text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
	return base64.RawStdEncoding.DecodeString(text)
}

// identityOfStream is one that may do a little with one stream.
func identityOfStream(name, path string, permissions []string) (*Identity, error) {
	n, err := stream.ParseName(strings.TrimPrefix(path, "/"))
	if err != nil {
		return nil, errors.New("names no stream")
	}
	may, err := parsePermissions(permissions)
	if err != nil {
		return nil, err
	}
	return &Identity{Name: name, grants: []grant{{may: may, streams: []stream.Pattern{stream.PatternOf(n)}}}}, nil
}
