package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"os"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// FuzzKeySets: whatever a JWKS or a PEM file holds, a key that is taken from it is for
// the one algorithm of its kind, and none is empty.
func FuzzKeySets(f *testing.F) {
	if vectors, err := os.ReadFile("testdata/vectors.json"); err == nil {
		f.Add(vectors)
	}
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE","kid":"a"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","use":"sig"},{"kty":"EC","crv":"P-256","x":"","y":""}]}`))
	f.Add([]byte("-----BEGIN SECRET-----\nMDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n-----END SECRET-----\n"))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		for what, parse := range map[string]func([]byte) ([]verifyKey, error){"JWKS": parseJWKS, "PEM": parsePEM} {
			keys, err := parse(content)
			if (err == nil) != (len(keys) > 0) {
				t.Fatalf("%s: %d keys and %v", what, len(keys), err)
			}
			for _, k := range keys {
				var want jose.SignatureAlgorithm
				switch key := k.key.(type) {
				case *ecdsa.PublicKey:
					want = jose.ES256
				case ed25519.PublicKey:
					want = jose.EdDSA
				case *rsa.PublicKey:
					want = jose.RS256
				case []byte:
					if want = jose.HS256; len(key) < secretMin {
						t.Fatalf("%s: a secret of %d bytes", what, len(key))
					}
				}
				if want == "" || k.algorithm != want {
					t.Fatalf("%s: a %T for %q, want %q", what, k.key, k.algorithm, want)
				}
			}
		}
	})
}
