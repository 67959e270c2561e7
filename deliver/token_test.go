package deliver

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"mainstem/stream"
	"mainstem/subs"
)

// keyStore is a log of nothing but signing keys, by the real rule.
type keyStore struct {
	Store
	keys   []subs.Key
	now    stream.Time
	fences int
	puts   int
	down   error
	behind []subs.Key // appear at the next fence
}

func (s *keyStore) SigningKeys() []subs.Key { return s.keys }

func (s *keyStore) Fence(context.Context) error {
	s.fences++
	if s.behind != nil {
		s.keys, s.behind = s.behind, nil
	}
	return s.down
}

func (s *keyStore) Submit(_ context.Context, c stream.Command) (stream.Result, error) {
	if s.down != nil {
		return stream.Result{}, s.down
	}
	decoded, err := subs.DecodeCommand(c.(stream.Control).Body)
	if err != nil {
		return stream.Result{}, err
	}
	s.puts++
	var change subs.Change
	result := subs.Decide(keyView{keys: s.keys}, s.now, decoded, &change)
	if change.Keys != nil {
		s.keys = change.Keys
	}
	return stream.Result{Outcome: stream.Outcome{Answer: subs.AppendResult(nil, result)}}, nil
}

type keyView struct {
	subs.View
	keys []subs.Key
}

func (v keyView) Keys() []subs.Key { return v.keys }

// signer returns a Deliverer over s, and its clock.
func signer(t *testing.T, s *keyStore, cfg Config) (*Deliverer, *time.Time) {
	t.Helper()
	now := time.Date(2026, 5, 9, 0, 0, 0, 0, time.UTC)
	cfg.Now = func() time.Time { return now }
	if cfg.Random == nil {
		cfg.Random = counting()
	}
	d, err := New(cfg, s, s)
	if err != nil {
		t.Fatal(err)
	}
	return d, &now
}

func mint(t *testing.T, d *Deliverer, number, generation uint64) string {
	t.Helper()
	token, err := d.Mint(t.Context(), number, generation)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenSpeaksForOneSubscriptionUntilItExpires(t *testing.T) {
	d, now := signer(t, &keyStore{}, Config{})
	token := mint(t, d, 7, 3)
	if !strings.HasPrefix(token, "eyJ") {
		t.Errorf("%q is no JWT", token)
	}
	generation, err := d.Verify(t.Context(), token, 7)
	if err != nil || generation != 3 {
		t.Fatalf("generation %d (%v), want 3", generation, err)
	}
	refused := func(what string, number uint64, token string, code subs.Code) {
		t.Helper()
		if _, err := d.Verify(t.Context(), token, number); !errors.Is(err, &subs.Refusal{Code: code}) {
			t.Errorf("%s: %v, want %v", what, err, code)
		}
	}
	refused("another subscription", 8, token, subs.TokenInvalid)
	*now = now.Add(tokenLifetime + tokenLeeway - time.Second)
	if _, err := d.Verify(t.Context(), token, 7); err != nil {
		t.Errorf("before its end: %v", err)
	}
	*now = now.Add(time.Second)
	refused("at its end", 7, token, subs.TokenExpired)
}

func TestForgedTokensAreRefused(t *testing.T) {
	store := &keyStore{}
	d, now := signer(t, store, Config{})
	good := mint(t, d, 7, 3)
	kid := store.keys[0].Kid
	private, err := openKey(store.keys[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	_, foreign, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	expiry := jwt.NewNumericDate(now.Add(time.Hour))
	make := func(algorithm jose.SignatureAlgorithm, key any, kid, typ string, claims any) string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid).WithType(jose.ContentType(typ)))
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwt.Signed(s).Claims(claims).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	claims := wakeClaims{Subject: "7", Generation: 3, Expiry: expiry}
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"` + kid + `","typ":"` + tokenType + `"}`))
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	bumped := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), `"gen":3`, `"gen":4`, 1)))
	if _, err := d.Verify(t.Context(), make(jose.EdDSA, private, kid, tokenType, claims), 7); err != nil {
		t.Fatalf("made by hand as it should be: %v", err)
	}
	for what, token := range map[string]string{
		"empty":             "",
		"no JWT":            "abc",
		"two dots":          "..",
		"cut":               good[:len(good)-1],
		"one more":          good + "A",
		"no signature":      parts[0] + "." + parts[1] + ".",
		"alg none":          none + "." + parts[1] + ".",
		"alg none, signed":  none + "." + parts[1] + "." + parts[2],
		"other generation":  parts[0] + "." + bumped + "." + parts[2],
		"foreign key":       make(jose.EdDSA, foreign, kid, tokenType, claims),
		"unknown kid":       make(jose.EdDSA, foreign, "ds_"+strings.Repeat("A", 43), tokenType, claims),
		"HMAC by public":    make(jose.HS256, []byte(store.keys[0].Public), kid, tokenType, claims),
		"no kid":            make(jose.EdDSA, private, "", tokenType, claims),
		"another type":      make(jose.EdDSA, private, kid, "JWT", claims),
		"no expiry":         make(jose.EdDSA, private, kid, tokenType, map[string]any{"sub": "7", "gen": 3}),
		"no subject":        make(jose.EdDSA, private, kid, tokenType, map[string]any{"gen": 3, "exp": expiry}),
		"subject as number": make(jose.EdDSA, private, kid, tokenType, map[string]any{"sub": 7, "gen": 3, "exp": expiry}),
		"negative":          make(jose.EdDSA, private, kid, tokenType, map[string]any{"sub": "7", "gen": -3, "exp": expiry}),
		"very long":         good + strings.Repeat("A", tokenBytesMax),
		"JSON form":         `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
	} {
		var no *subs.Refusal
		if _, err := d.Verify(t.Context(), token, 7); !errors.As(err, &no) {
			t.Errorf("%s: %v, want a refusal", what, err)
		} else if len(token) > 10 && strings.Contains(no.Error(), token) {
			t.Errorf("%s: %q repeats the token", what, no)
		}
	}
}

// A webhook's signature is made with the same key: it must not pass for a token.
func TestWebhookSignatureIsNoToken(t *testing.T) {
	store := &keyStore{}
	d, now := signer(t, store, Config{})
	parts := strings.Split(mint(t, d, 7, 3), ".")
	key, _, err := d.keys.current()
	if err != nil {
		t.Fatal(err)
	}
	header := signature(key, *now, []byte(parts[1]))
	_, signed, _ := strings.Cut(header, ",ed25519=")
	for _, token := range []string{parts[0] + "." + parts[1] + "." + signed, "1778284800." + parts[1] + "." + signed} {
		if _, err := d.Verify(t.Context(), token, 7); !errors.Is(err, &subs.Refusal{Code: subs.TokenInvalid}) {
			t.Errorf("%v, want TOKEN_INVALID", err)
		}
	}
}

func TestTokensOutliveTheRotationOfTheirKey(t *testing.T) {
	store := &keyStore{}
	d, now := signer(t, store, Config{})
	old := mint(t, d, 7, 3)
	first := store.keys[0].Kid
	rotate := func() string {
		t.Helper()
		store.now = stream.TimeOf(*now)
		kid, err := d.Rotate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return kid
	}
	second := rotate()
	if second == first {
		t.Fatal("rotated to the same key")
	}
	if kid, err := d.ActiveKid(t.Context()); err != nil || kid != second {
		t.Fatalf("active %s (%v), want %s", kid, err, second)
	}
	if _, err := d.Verify(t.Context(), old, 7); err != nil {
		t.Fatalf("a token of the retired key: %v", err)
	}
	for i, kid := range publishedKids(t, d) {
		if want := []string{second, first}[i]; kid != want {
			t.Fatalf("published %s, want %s", kid, want)
		}
	}
	if len(store.keys[0].Secret) != 0 {
		t.Error("a retired key has kept its private half")
	}
	*now = now.Add(subs.KeyRetention)
	third := rotate()
	if kids := publishedKids(t, d); len(kids) != 2 || kids[0] != third || kids[1] != second {
		t.Fatalf("published %v, want %s and %s", kids, third, second)
	}
}

func publishedKids(t *testing.T, d *Deliverer) (kids []string) {
	t.Helper()
	body, err := d.JWKS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(key["x"])
		if err != nil || len(x) != ed25519.PublicKeySize {
			t.Fatalf("x of %v: %v", key, err)
		}
		want := map[string]string{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key["kid"], "x": key["x"]}
		if len(key) != len(want) {
			t.Fatalf("published %v, want %v: nothing of the private half", key, want)
		}
		for name, value := range want {
			if key[name] != value {
				t.Fatalf("published %v, want %v", key, want)
			}
		}
		kids = append(kids, key["kid"])
	}
	return kids
}

func TestFirstKeyIsMadeOnce(t *testing.T) {
	store := &keyStore{}
	d, _ := signer(t, store, Config{})
	mint(t, d, 1, 1)
	mint(t, d, 1, 2)
	if _, err := d.JWKS(t.Context()); err != nil {
		t.Fatal(err)
	}
	if store.puts != 1 || len(store.keys) != 1 {
		t.Fatalf("%d keys were proposed and %d kept, want 1", store.puts, len(store.keys))
	}
	// A node that is behind must look before it proposes, and then sign with what
	// the others have.
	late, _ := signer(t, &keyStore{behind: store.keys}, Config{Random: func([]byte) { t.Error("a key was made") }})
	if kid, err := late.ActiveKid(t.Context()); err != nil || kid != store.keys[0].Kid {
		t.Fatalf("%s (%v), want %s", kid, err, store.keys[0].Kid)
	}
}

func TestNodeThatIsBehindLooksBehindAFence(t *testing.T) {
	store := &keyStore{}
	d, _ := signer(t, store, Config{})
	token := mint(t, d, 7, 3)
	behind := &keyStore{behind: store.keys}
	late, _ := signer(t, behind, Config{})
	if generation, err := late.Verify(t.Context(), token, 7); err != nil || generation != 3 {
		t.Fatalf("generation %d (%v), want 3", generation, err)
	}
	cut, _ := signer(t, &keyStore{down: errors.New("no leader")}, Config{})
	if _, err := cut.Verify(t.Context(), token, 7); err == nil || errors.As(err, new(*subs.Refusal)) {
		t.Fatalf("cut off: %v, want an error that is no refusal", err)
	}
	// What cannot be a key of ours costs the leader nothing.
	fences := behind.fences
	if _, err := late.Verify(t.Context(), "a.b.c", 7); err == nil || behind.fences != fences {
		t.Fatalf("nonsense: %v after %d fences", err, behind.fences-fences)
	}
}

func TestNodeWithoutTheKeyEncryptionKeySaysSo(t *testing.T) {
	store := &keyStore{}
	d, _ := signer(t, store, Config{KeyEncryptionKey: []byte(strings.Repeat("k", 32))})
	token := mint(t, d, 7, 3)
	without, _ := signer(t, store, Config{})
	if err := without.CanMint(t.Context()); !errors.Is(err, errSealed) || d.CanMint(t.Context()) != nil {
		t.Errorf("may mint: %v, want %v", err, errSealed)
	}
	if _, err := without.Mint(t.Context(), 7, 3); !errors.Is(err, errSealed) {
		t.Errorf("%v, want %v", err, errSealed)
	}
	if _, err := without.Verify(t.Context(), token, 7); err != nil {
		t.Errorf("verifying needs no secret: %v", err)
	}
	if kids := publishedKids(t, without); len(kids) != 1 {
		t.Errorf("published %v, want the key", kids)
	}
}

func FuzzVerify(f *testing.F) {
	store := &keyStore{}
	d, err := New(Config{Random: counting()}, store, store)
	if err != nil {
		f.Fatal(err)
	}
	good, err := d.Mint(f.Context(), 7, 3)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:40])
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(`{"protected":"","payload":"","signature":""}`)
	f.Fuzz(func(t *testing.T, token string) {
		generation, err := d.Verify(t.Context(), token, 7)
		if err == nil && (generation != 3 || !sameToken(token, good)) {
			t.Fatalf("%q passes, with generation %d", token, generation)
		}
		if err != nil && !errors.As(err, new(*subs.Refusal)) {
			t.Fatalf("%q: %v is no refusal", token, err)
		}
	})
}

// sameToken tells whether two tokens are the same but for what base64 passes over.
func sameToken(a, b string) bool {
	return strings.Join(strings.Fields(a), "") == b
}
