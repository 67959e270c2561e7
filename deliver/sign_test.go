package deliver

import (
	"crypto/ed25519"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSignatureIsOverTimeAndRawBody(t *testing.T) {
	record, err := newKey(counting(), nil)
	if err != nil {
		t.Fatal(err)
	}
	private, err := openKey(record, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := &signingKey{kid: record.Kid, private: private}
	body := []byte("{\"a\":\"\x00\xff\n\"}")
	header := signature(key, time.Unix(1778324210, 999), body)
	m := regexp.MustCompile(`^t=1778324210,kid=(ds_[A-Za-z0-9_-]{43}),ed25519=([A-Za-z0-9_-]{86})$`).FindStringSubmatch(header)
	if m == nil || m[1] != record.Kid {
		t.Fatalf("%q is not of the protocol's form", header)
	}
	signed, err := base64.RawURLEncoding.DecodeString(m[2])
	if err != nil {
		t.Fatal(err)
	}
	if !ed25519.Verify(record.Public, []byte("1778324210."+string(body)), signed) {
		t.Fatal("the signature does not verify")
	}
	for what, message := range map[string]string{
		"another time": "1778324211." + string(body), "another body": "1778324210." + strings.ToUpper(string(body)), "the body alone": string(body),
	} {
		if ed25519.Verify(record.Public, []byte(message), signed) {
			t.Errorf("it verifies for %s", what)
		}
	}
}
