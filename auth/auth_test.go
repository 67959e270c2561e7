package auth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mainstem/stream"
)

// vectors are made by testdata/vectors.mjs.
type vectors struct {
	Secret    string            `json:"secret"`
	Signed    map[string]string `json:"signed"`
	Tokens    map[string]string `json:"tokens"`
	JWKS      json.RawMessage   `json:"jwks"`
	JWKS2     json.RawMessage   `json:"jwks2"`
	PEM       string            `json:"pem"`
	SecretPEM string            `json:"secretPEM"`
	Now       int64             `json:"now"`
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	content, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v vectors) now() time.Time { return time.Unix(v.Now, 0) }

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const room = "gid://app/Room/1/messages"

// mayDo lists what an identity may do with a stream.
func mayDo(id *Identity, n stream.Name) string {
	var words []string
	for a := Read; a <= Admin; a++ {
		if id.May(a, n) {
			words = append(words, a.String())
		}
	}
	return strings.Join(words, " ")
}

func TestAKeyMayDoWhatItsScopesAndPatternsSay(t *testing.T) {
	key, entry, err := NewEntry("app", []string{"read", "append"}, []string{"chat/**", "inbox"})
	if err != nil {
		t.Fatal(err)
	}
	root, rootEntry, err := NewEntry("root", []string{"admin"}, []string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	keys, err := OpenKeys(KeysConfig{Path: write(t, "keys.toml", entry+"expires = 2030-01-01T00:00:00Z\n"+rootEntry), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{Keys: keys}
	for name, c := range map[string]struct{ key, stream, want string }{
		"in a pattern":      {key, "chat/1/x", "read append close"},
		"the other pattern": {key, "inbox", "read append close"},
		"in none":           {key, "other", ""},
		"root":              {root, "other", "read append close create delete admin"},
	} {
		id, no := g.Admit(requestWith("Bearer " + c.key))
		if no != nil {
			t.Fatalf("%s: %v", name, no)
		}
		if got := mayDo(id, stream.Name(c.stream)); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, no := g.Admit(requestWith("Bearer " + key)); no == nil || no.Reason != "CREDENTIALS_EXPIRED" || no.Status != 401 {
		t.Errorf("an expired key: got %+v", no)
	}
}

func TestTheOperatorsTokenIsGoodForTheClusterAlone(t *testing.T) {
	keys, err := OpenKeys(KeysConfig{Path: write(t, "keys.toml", "")})
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{AdminToken: "a long secret", Keys: keys}
	id, no := g.Admit(requestWith("Bearer a long secret"))
	if no != nil || mayDo(id, "x") != "admin" {
		t.Fatalf("got %v", no)
	}
	if _, no := g.Admit(requestWith("Bearer a long secreT")); no == nil {
		t.Error("a wrong token was taken")
	}
	if (&Gate{AdminToken: "x"}).Open() {
		t.Error("the token alone opens a way in")
	}
}

// TestALetterThatIsAStarIsNoPattern: a stream may be named *.
func TestALetterThatIsAStarIsNoPattern(t *testing.T) {
	id, err := identityOfStream("x", "a/%2A", []string{"read"})
	if err != nil {
		t.Fatal(err)
	}
	if !id.May(Read, "a/*") || id.May(Read, "a/b") || id.MayAll(Read, everyStream()) {
		t.Error("a token for the stream a/* opens others, or not that one")
	}
	key, entry, err := NewEntry("star", []string{"read"}, []string{"a/%2A"})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := OpenKeys(KeysConfig{Path: write(t, "keys.toml", entry)})
	if err != nil {
		t.Fatal(err)
	}
	id, no := (&Gate{Keys: keys}).Admit(requestWith("Bearer " + key))
	if no != nil || !id.May(Read, "a/*") || id.May(Read, "a/b") {
		t.Errorf("a key for the stream a/* opens others, or not that one: %v", no)
	}
}

func requestWith(authorization string) *http.Request {
	r := httptest.NewRequest("GET", "/v1/stream/x", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

func TestMistakesInTheKeyFileAreNamed(t *testing.T) {
	const hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	good := "[[key]]\nname = \"a\"\nsha256 = \"" + hash + "\"\nscopes = [\"read\"]\nstreams = [\"**\"]\n"
	for name, c := range map[string]struct{ file, want string }{
		"no TOML":     {"[[key]\n", "keys.toml:1:"},
		"unknown":     {good + "scope = 1\n", "scope"},
		"no name":     {strings.Replace(good, `"a"`, `""`, 1), "no name"},
		"no hash":     {strings.Replace(good, hash, "abc", 1), "64 hexadecimal"},
		"scope":       {strings.Replace(good, "read", "write", 1), `"write" is none of`},
		"no scope":    {strings.Replace(good, `"read"`, "", 1), "no scope"},
		"no patterns": {strings.Replace(good, `"**"`, "", 1), "no pattern"},
		"pattern":     {strings.Replace(good, `"**"`, `"a*"`, 1), "whole segments"},
		"twice":       {good + good, "twice"},
	} {
		if _, err := OpenKeys(KeysConfig{Path: write(t, "keys.toml", c.file)}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestSignedURLsOfRails(t *testing.T) {
	v := readVectors(t)
	s, err := NewSigned(SignedConfig{Secrets: [][]byte{[]byte("an older secret of some length"), []byte(v.Secret)}, Now: v.now})
	if err != nil {
		t.Fatal(err)
	}
	g := &Gate{Signed: s}
	wants := map[string]string{
		"bare": "read", "bare_write": "read append", "enveloped": "read", "newer_object": "read", "newer_text": "read",
		"expired": "CREDENTIALS_EXPIRED", "purpose": "BAD_CREDENTIALS", "other_key": "BAD_CREDENTIALS", "no_permissions": "BAD_CREDENTIALS",
		"no_stream": "BAD_CREDENTIALS", "not_json": "BAD_CREDENTIALS", "not_base64": "BAD_CREDENTIALS",
		"urlsafe": "other: read", "with_plus": "other: read",
	}
	others := map[string]stream.Name{"urlsafe": room + "%3F%3F%3F%3E%3E%3E", "with_plus": room + "~~~%3E%3E%3E"}
	for name, token := range v.Signed {
		want, known := wants[name]
		if !known {
			t.Fatalf("no expectation for %s", name)
		}
		for how, query := range map[string]string{"raw": "token=" + token, "escaped": "offset=-1&token=" + url.QueryEscape(token)} {
			if strings.Contains(token, "%") && how == "raw" {
				continue
			}
			r := httptest.NewRequest("GET", "/v1/stream/x", nil)
			r.URL.RawQuery = query
			id, no := g.Admit(r)
			got := ""
			switch {
			case no != nil:
				got = no.Reason
			case others[name] != "":
				got = "other: " + mayDo(id, others[name])
			default:
				got = mayDo(id, room)
				if other := mayDo(id, "gid://app/Room/2/messages"); other != "" {
					t.Errorf("%s opens another stream: %s", name, other)
				}
			}
			if got != want {
				t.Errorf("%s, %s: got %q, want %q", name, how, got, want)
			}
		}
	}
}

func TestAChangedSignatureIsRefused(t *testing.T) {
	v := readVectors(t)
	s, _ := NewSigned(SignedConfig{Secrets: [][]byte{[]byte(v.Secret)}, Now: v.now})
	token := v.Signed["bare"]
	for i := range token {
		changed := []byte(token)
		changed[i] ^= 1
		if id, err := s.verify(string(changed)); err == nil && mayDo(id, room) != "" {
			t.Fatalf("byte %d: %s was taken", i, changed)
		}
	}
}

func tokensOf(t *testing.T, v vectors, change func(*TokensConfig)) *Gate {
	t.Helper()
	cfg := TokensConfig{Issuer: "app", Audience: "streams", Algorithms: knownAlgorithms, Now: v.now}
	change(&cfg)
	tokens, err := OpenTokens(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &Gate{Tokens: tokens}
}

func TestTokensAreJudgedWithEveryKindOfKey(t *testing.T) {
	v := readVectors(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(v.JWKS) }))
	defer server.Close()
	wants := map[string]string{
		"es256": "read append", "es256_no_kid": "read append", "rs256": "read append", "eddsa": "read append", "hs256": "read append",
		"server": "read append close create delete admin", "patterns": "",
		"expired": "CREDENTIALS_EXPIRED",
	}
	for source, g := range map[string]*Gate{
		"file": tokensOf(t, v, func(c *TokensConfig) { c.JWKSPath = write(t, "jwks.json", string(v.JWKS)) }),
		"URL":  tokensOf(t, v, func(c *TokensConfig) { c.JWKSURL = server.URL }),
		"PEM":  tokensOf(t, v, func(c *TokensConfig) { c.KeyPath = write(t, "keys.pem", v.PEM+v.SecretPEM) }),
	} {
		for name, token := range v.Tokens {
			want, taken := wants[name]
			if !taken {
				want = "BAD_CREDENTIALS"
			}
			id, no := g.Admit(requestWith("Bearer " + token))
			got := ""
			if no != nil {
				got = no.Reason
				if no.Status != http.StatusUnauthorized {
					t.Errorf("%s, %s: got status %d", source, name, no.Status)
				}
				if strings.Contains(no.Detail, token) {
					t.Errorf("%s, %s: the token is in %q", source, name, no.Detail)
				}
			} else {
				got = mayDo(id, room)
			}
			if got != want {
				t.Errorf("%s, %s: got %q (%v), want %q", source, name, got, no, want)
			}
		}
		id, no := g.Admit(requestWith("Bearer " + v.Tokens["patterns"]))
		if no != nil || mayDo(id, "chat/1") != "read create" {
			t.Errorf("%s: patterns: %v", source, no)
		}
	}
}

func TestAPublicKeyIsNoSharedSecretEvenIfAllAlgorithmsAreAllowed(t *testing.T) {
	v := readVectors(t)
	g := tokensOf(t, v, func(c *TokensConfig) { c.KeyPath = write(t, "keys.pem", v.PEM) })
	for _, name := range []string{"confused", "confused_ec", "none", "none_signed", "hs256"} {
		if _, no := g.Admit(requestWith("Bearer " + v.Tokens[name])); no == nil {
			t.Errorf("%s was taken", name)
		}
	}
	restricted := tokensOf(t, v, func(c *TokensConfig) {
		c.KeyPath = write(t, "keys.pem", v.PEM)
		c.Algorithms = []string{"EdDSA"}
	})
	if _, no := restricted.Admit(requestWith("Bearer " + v.Tokens["es256"])); no == nil {
		t.Error("an algorithm that is not allowed was taken")
	}
}

func TestAJWKSIsFetchedAgainForAKeyThatIsNotInIt(t *testing.T) {
	v := readVectors(t)
	now, fetches, body, status := v.now(), 0, []byte(v.JWKS), http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches++
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}))
	defer server.Close()
	g := tokensOf(t, v, func(c *TokensConfig) {
		c.JWKSURL, c.Now, c.MaxAge = server.URL, func() time.Time { return now }, time.Minute
	})
	step := func(what, token, want string, wantFetches int) {
		t.Helper()
		got := "taken"
		if _, no := g.Admit(requestWith("Bearer " + v.Tokens[token])); no != nil {
			got = no.Reason
		}
		if got != want || fetches != wantFetches {
			t.Fatalf("%s: got %s after %d fetches, want %s after %d", what, got, fetches, want, wantFetches)
		}
	}
	step("the first token", "es256", "taken", 1)
	step("the next", "es256", "taken", 1)
	step("an unknown key, at once", "unknown_kid", "BAD_CREDENTIALS", 1)
	now = now.Add(refetchPause)
	body = v.JWKS2
	step("an unknown key, later", "unknown_kid", "taken", 2)
	now = now.Add(refetchPause)
	status = http.StatusInternalServerError
	step("a key that was withdrawn, the issuer away", "es256", "BAD_CREDENTIALS", 3)
	step("a known key, the issuer away", "unknown_kid", "taken", 3)
	now = now.Add(2 * time.Minute)
	step("keys too old to trust", "unknown_kid", "AUTH_UNAVAILABLE", 4)
}

func TestCredentialsComeOneAtATime(t *testing.T) {
	v := readVectors(t)
	g := tokensOf(t, v, func(c *TokensConfig) { c.KeyPath, c.Cookie = write(t, "k.pem", v.PEM), "session" })
	good := v.Tokens["es256"]
	for name, c := range map[string]struct {
		header, query, cookie, want string
	}{
		"none":                {want: "NO_CREDENTIALS"},
		"header":              {header: "Bearer " + good},
		"lower case":          {header: "bearer " + good},
		"query":               {query: "token=" + good},
		"cookie":              {cookie: good},
		"bad cookie unlooked": {header: "Bearer " + good, cookie: "bad.bad.bad"},
		"bad cookie":          {cookie: "bad.bad.bad", want: "BAD_CREDENTIALS"},
		"two good ones":       {header: "Bearer " + good, query: "token=" + good, want: "BAD_CREDENTIALS"},
		"good and bad":        {header: "Bearer " + good, query: "token=a.b.c", want: "BAD_CREDENTIALS"},
		"twice in the query":  {query: "token=" + good + "&token=" + good, want: "BAD_CREDENTIALS"},
		"basic":               {header: "Basic eDp5", want: "BAD_CREDENTIALS"},
		"empty":               {header: "Bearer ", want: "BAD_CREDENTIALS"},
		"nonsense":            {header: "Bearer nonsense", want: "BAD_CREDENTIALS"},
		"parameter by case":   {query: "TOKEN=" + good, want: "NO_CREDENTIALS"},
	} {
		r := requestWith(c.header)
		r.URL.RawQuery = c.query
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: "session", Value: c.cookie})
		}
		_, no := g.Admit(r)
		got := ""
		if no != nil {
			got = no.Reason
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func FuzzCredentials(f *testing.F) {
	var v vectors
	content, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		f.Fatal(err)
	}
	if err := json.Unmarshal(content, &v); err != nil {
		f.Fatal(err)
	}
	for _, token := range v.Signed {
		f.Add(token)
	}
	for _, token := range v.Tokens {
		f.Add(token)
	}
	signed, err := NewSigned(SignedConfig{Secrets: [][]byte{[]byte("nobody signs with this one")}})
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "k.pem")
	if err := os.WriteFile(path, []byte(v.PEM), 0o600); err != nil {
		f.Fatal(err)
	}
	tokens, err := OpenTokens(TokensConfig{KeyPath: path, Issuer: "nobody"})
	if err != nil {
		f.Fatal(err)
	}
	g := &Gate{Signed: signed, Tokens: tokens}
	f.Fuzz(func(t *testing.T, token string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Authorization"] = []string{"Bearer " + token}
		if id, no := g.Admit(r); no == nil || id != nil {
			t.Fatalf("%q was let in", token)
		}
		r = httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = "token=" + token
		if id, no := g.Admit(r); no == nil || id != nil {
			t.Fatalf("%q was let in by the query", token)
		}
	})
}
