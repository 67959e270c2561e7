package deliver

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"mainstem/subs"
)

// Tokens are JWTs of the signing key. What a webhook signs begins with a digit and
// a JWT with "ey", so neither passes for the other.
const (
	tokenType     = "mainstem-wake"
	tokenLifetime = subs.KeyRetention // so that a key outlives the tokens it signed
	tokenLeeway   = time.Minute       // between the clocks of the node that signs and the one that checks
)

// wakeClaims say for which wake a token may speak. Number, not the client's id, so that a
// subscription made anew under the same id is another.
type wakeClaims struct {
	Subject    string           `json:"sub"`
	Generation uint64           `json:"gen"`
	Expiry     *jwt.NumericDate `json:"exp"`
}

func mintToken(key *signingKey, number, generation uint64, now time.Time) (string, error) {
	options := (&jose.SignerOptions{}).WithType(tokenType).WithHeader("kid", key.kid)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key.private}, options)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	token, err := jwt.Signed(signer).Claims(wakeClaims{
		Subject: strconv.FormatUint(number, 10), Generation: generation, Expiry: jwt.NewNumericDate(now.Add(tokenLifetime)),
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return token, nil
}

// verifyToken returns the generation for which a token speaks for a subscription.
// The error is a *subs.Refusal, unless the key that signed it could not be asked
// for.
func (r *keyring) verifyToken(ctx context.Context, token string, number uint64) (generation uint64, err error) {
	if len(token) > tokenBytesMax {
		return 0, invalidToken("it is longer than any that this server gives out")
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(parsed.Headers) != 1 || !isKeyID(parsed.Headers[0].KeyID) || parsed.Headers[0].ExtraHeaders[jose.HeaderType] != tokenType {
		return 0, invalidToken("it is none that this server gives out")
	}
	public, known, err := r.public(ctx, parsed.Headers[0].KeyID)
	switch {
	case err != nil:
		return 0, fmt.Errorf("look for the key that signed the bearer token: %w", err)
	case !known:
		return 0, invalidToken("the key that signed it is not known any more; claim again, or await the next wake")
	}
	var claims wakeClaims
	if err := parsed.Claims(public, &claims); err != nil {
		return 0, invalidToken("its signature is not this server's")
	}
	if claims.Subject != strconv.FormatUint(number, 10) {
		return 0, invalidToken("it is for another subscription")
	}
	if claims.Expiry == nil || !r.cfg.Now().Before(claims.Expiry.Time().Add(tokenLeeway)) {
		return 0, &subs.Refusal{Code: subs.TokenExpired, Detail: "the bearer token has expired; claim again, or await the next wake"}
	}
	return claims.Generation, nil
}

func invalidToken(why string) error {
	return &subs.Refusal{Code: subs.TokenInvalid, Detail: "the bearer token is not valid: " + why}
}

// isKeyID tells whether an id has the form of ours: others cost no fence.
func isKeyID(kid string) bool {
	rest, ok := strings.CutPrefix(kid, keyIDPrefix)
	if !ok || len(kid) != keyIDBytes {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	return err == nil
}
