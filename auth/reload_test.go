package auth

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestKeysOfFilesAreTakenWhenTheyChange, and one that was taken out of its file is
// good no more; a mistake leaves them as they were and is told once.
func TestKeysOfFilesAreTakenWhenTheyChange(t *testing.T) {
	v := readVectors(t)
	first, firstEntry, err := NewEntry("first", []string{"read"}, []string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	second, secondEntry, err := NewEntry("second", []string{"read"}, []string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	keyFile, jwksFile := write(t, "keys.toml", firstEntry), write(t, "jwks.json", string(v.JWKS2))
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		keys, err := OpenKeys(KeysConfig{Path: keyFile, Log: logger})
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := OpenTokens(TokensConfig{JWKSPath: jwksFile, Now: v.now, Log: logger})
		if err != nil {
			t.Fatal(err)
		}
		g := &Gate{Keys: keys, Tokens: tokens}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- g.Run(ctx) }()
		change := func(path, content string) {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
		}
		admits := func(token string, want bool) {
			t.Helper()
			if _, no := g.Admit(requestWith("Bearer " + token)); (no == nil) != want {
				t.Errorf("admitted %v, want %v: %+v", no == nil, want, no)
			}
		}
		admits(first, true)
		admits(second, false)
		change(keyFile, secondEntry)
		admits(first, false)
		admits(second, true)
		change(keyFile, "nonsense")
		admits(second, true)
		if n := strings.Count(log.String(), "is not sound"); n != 1 {
			t.Errorf("the mistake was told %d times, want once: %s", n, &log)
		}

		admits(v.Tokens["es256"], false)
		change(jwksFile, string(v.JWKS))
		admits(v.Tokens["es256"], true)
		change(jwksFile, "{}")
		admits(v.Tokens["es256"], true)
		if n := strings.Count(log.String(), "the keys of JWTs cannot be read"); n != 1 {
			t.Errorf("the mistake was told %d times, want once: %s", n, &log)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
