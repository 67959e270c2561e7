package deliver

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"mainstem/subs"
)

// counting fills with bytes that differ from call to call.
func counting() func([]byte) {
	var mu sync.Mutex
	var n byte
	return func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		for i := range b {
			n++
			b[i] = n
		}
	}
}

// RFC 8037, appendix A.3, has a key and its thumbprint.
func TestKeyIDIsTheThumbprint(t *testing.T) {
	public, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	got, err := keyID(public)
	if want := "ds_kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"; err != nil || got != want {
		t.Fatalf("%s (%v), want %s", got, err, want)
	}
	if !isKeyID(got) || isKeyID(got+"A") || isKeyID(strings.Replace(got, "ds_", "sd_", 1)) || isKeyID("ds_") {
		t.Fatal("isKeyID does not tell ids of this form from others")
	}
	x := base64.RawURLEncoding.EncodeToString(public)
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	if own := "ds_" + base64.RawURLEncoding.EncodeToString(sum[:]); own != got {
		t.Fatalf("%s, want %s", got, own)
	}
}

func TestSealedKeyOpensWithItsKeyAlone(t *testing.T) {
	kek, other := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{8}, 32)
	key, err := newKey(counting(), kek)
	if err != nil {
		t.Fatal(err)
	}
	seed := make([]byte, ed25519.SeedSize)
	counting()(seed)
	if !key.Sealed || bytes.Contains(key.Secret, seed) {
		t.Fatal("the seed lies open in a sealed secret")
	}
	private, err := openKey(key, kek)
	if err != nil || !private.Equal(ed25519.NewKeyFromSeed(seed)) {
		t.Fatalf("not opened: %v", err)
	}
	if _, err := openKey(key, nil); !errors.Is(err, errSealed) {
		t.Errorf("without the key: %v, want %v", err, errSealed)
	}
	if _, err := openKey(key, other); !errors.Is(err, errWrongKey) {
		t.Errorf("with another key: %v, want %v", err, errWrongKey)
	}
	for i := range key.Secret {
		damaged := key
		damaged.Secret = bytes.Clone(key.Secret)
		damaged.Secret[i] ^= 1
		if _, err := openKey(damaged, kek); err == nil {
			t.Errorf("byte %d may be changed", i)
		}
	}
	swapped, err := newKey(counting(), kek)
	if err != nil {
		t.Fatal(err)
	}
	swapped.Kid = "ds_" + strings.Repeat("A", 43)
	if _, err := openKey(swapped, kek); !errors.Is(err, errWrongKey) {
		t.Errorf("under another id: %v, want %v", err, errWrongKey)
	}
}

func TestPlainKeyMustBelongToItsPublicHalf(t *testing.T) {
	random := counting()
	a, errA := newKey(random, nil)
	b, errB := newKey(random, nil)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if _, err := openKey(a, bytes.Repeat([]byte{7}, 32)); err != nil {
		t.Errorf("a plain key, with a key-encryption key that came later: %v", err)
	}
	for what, key := range map[string]subs.Key{
		"another's secret": {Kid: a.Kid, Public: a.Public, Secret: b.Secret},
		"wiped":            {Kid: a.Kid, Public: a.Public},
		"short":            {Kid: a.Kid, Public: a.Public, Secret: a.Secret[:20]},
		"a later form":     {Kid: a.Kid, Public: a.Public, Secret: append([]byte{9}, a.Secret[1:]...)},
	} {
		if _, err := openKey(key, nil); err == nil || !strings.Contains(err.Error(), a.Kid) {
			t.Errorf("%s: %v, want an error that names the key", what, err)
		}
	}
}

func TestSecretsAreInNoLogLine(t *testing.T) {
	key, err := newKey(counting(), nil)
	if err != nil {
		t.Fatal(err)
	}
	opened := &signingKey{kid: key.Kid, private: ed25519.NewKeyFromSeed(key.Secret[1:])}
	var out strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("key", "key", opened, "value", *opened)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("key", "record", key, "pointer", &key)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, key, &key, opened, *opened)
	}
	seed := key.Secret[1:]
	for form, secret := range map[string]string{
		"raw": string(seed), "hex": hex.EncodeToString(seed), "base64": base64.StdEncoding.EncodeToString(seed)[:40],
		"base64 of the record": base64.StdEncoding.EncodeToString(key.Secret)[:40], "list": fmt.Sprint(seed[:8])[1:16],
	} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the secret is printed (%s)", form)
		}
	}
}

func TestKeyEncryptionKeysAreRead(t *testing.T) {
	want := make([]byte, 32)
	counting()(want)
	want[0], want[1] = 0xfb, 0xff // + and / in base64
	for _, text := range []string{
		hex.EncodeToString(want), strings.ToUpper(hex.EncodeToString(want)),
		base64.StdEncoding.EncodeToString(want), base64.RawStdEncoding.EncodeToString(want),
		base64.URLEncoding.EncodeToString(want), base64.RawURLEncoding.EncodeToString(want),
		" " + base64.StdEncoding.EncodeToString(want) + "\n",
	} {
		if got, err := ParseKey(text); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %x (%v)", text, got, err)
		}
	}
	for _, text := range []string{"", "secret", hex.EncodeToString(want[:31]), base64.StdEncoding.EncodeToString(append(want, 1)), strings.Repeat("!", 43)} {
		if got, err := ParseKey(text); err == nil || got != nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %x (%v), want an error that does not repeat it", text, got, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(strings.Repeat("0a", 32))
	f.Add(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{255}, 32)))
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParseKey(text)
		if err != nil {
			return
		}
		again, err := ParseKey(hex.EncodeToString(key))
		if err != nil || !bytes.Equal(key, again) || len(key) != 32 {
			t.Fatalf("%q: %x, then %x (%v)", text, key, again, err)
		}
	})
}
