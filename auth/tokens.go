package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"mainstem/stream"
)

const (
	// leeway is how far the clock of who signed a token may be from ours.
	leeway        = 30 * time.Second
	tokenBytesMax = 16 << 10
)

// TokensConfig is how JWTs are checked. One of the sources of keys must be given.
type TokensConfig struct {
	KeyPath    string        // PEM file of public keys, or of a shared secret between lines of "SECRET"
	JWKSPath   string        // JWKS file
	JWKSURL    string        // JWKS, fetched
	Issuer     string        // iss must be it; "" takes any
	Audience   string        // aud must hold it; "" takes any
	Algorithms []string      // that may have signed; ES256, EdDSA and RS256 when empty
	Cookie     string        // in which a browser may bring the token; "" for none
	MaxAge     time.Duration // how old a fetched JWKS may be; 5 min

	Client *http.Client     // for JWKSURL; one with a timeout of 5 s
	Now    func() time.Time // time.Now
	Log    *slog.Logger     // discarded
}

// Tokens checks JWTs.
type Tokens struct {
	cfg        TokensConfig
	algorithms []jose.SignatureAlgorithm
	keys       *keySet
}

// knownAlgorithms are those that can be allowed. None is not among them.
var knownAlgorithms = []string{"ES256", "EdDSA", "RS256", "HS256"}

// OpenTokens reads the keys of files; those of a URL are fetched when they are
// needed, so that a node starts without whoever serves them.
func OpenTokens(cfg TokensConfig) (*Tokens, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = []string{"ES256", "EdDSA", "RS256"}
	}
	t := &Tokens{cfg: cfg}
	for _, name := range cfg.Algorithms {
		if !slices.Contains(knownAlgorithms, name) {
			return nil, fmt.Errorf("%q is none of %s", name, strings.Join(knownAlgorithms, ", "))
		}
		t.algorithms = append(t.algorithms, jose.SignatureAlgorithm(name))
	}
	var err error
	t.keys, err = openKeySet(cfg)
	return t, err
}

func (t *Tokens) run(ctx context.Context) { t.keys.run(ctx) }

// claims are those that mean something here.
type claims struct {
	jwt.Claims
	Server      bool     `json:"server"`      // the application's own server: everything
	Stream      string   `json:"stream"`      // one stream ...
	Permissions []string `json:"permissions"` // ... and what may be done with it
	Streams     []string `json:"streams"`     // patterns ...
	Scopes      []string `json:"scopes"`      // ... and what may be done with them
}

func (t *Tokens) verify(ctx context.Context, token string) (*Identity, error) {
	if strings.Count(token, ".") != 2 {
		return nil, errNotMine
	}
	if len(token) > tokenBytesMax {
		return nil, fmt.Errorf("is longer than %d bytes", tokenBytesMax)
	}
	parsed, err := jwt.ParseSigned(token, t.algorithms)
	if err != nil {
		return nil, fmt.Errorf("is no JWT signed by %s", strings.Join(t.cfg.Algorithms, ", "))
	}
	header := parsed.Headers[0]
	candidates, err := t.keys.find(ctx, header.KeyID, jose.SignatureAlgorithm(header.Algorithm))
	if err != nil {
		return nil, err
	}
	var c claims
	verified := slices.ContainsFunc(candidates, func(key any) bool {
		c = claims{}
		return parsed.Claims(key, &c) == nil
	})
	if !verified {
		return nil, errForged
	}
	if err := t.judge(c); err != nil {
		return nil, err
	}
	return identityOfClaims(c)
}

// judge looks at what every token must say.
func (t *Tokens) judge(c claims) error {
	if c.Expiry == nil {
		return errors.New("has no exp: a token must end")
	}
	expected := jwt.Expected{Issuer: t.cfg.Issuer, Time: t.cfg.Now()}
	if t.cfg.Audience != "" {
		expected.AnyAudience = jwt.Audience{t.cfg.Audience}
	}
	switch err := c.ValidateWithLeeway(expected, leeway); {
	case errors.Is(err, jwt.ErrExpired):
		return errExpired
	case errors.Is(err, jwt.ErrNotValidYet), errors.Is(err, jwt.ErrIssuedInTheFuture):
		return errors.New("is not valid yet")
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return errors.New("is of another issuer")
	case errors.Is(err, jwt.ErrInvalidAudience):
		return errors.New("is for another audience")
	case err != nil:
		return errors.New("has claims that are not valid")
	}
	return nil
}

// identityOfClaims says who the token speaks for.
func identityOfClaims(c claims) (*Identity, error) {
	name, key := "JWT", ""
	if c.Subject != "" {
		name, key = c.Subject, "subject "+c.Subject
	}
	switch {
	case c.Server:
		return &Identity{Name: name, Key: key, grants: []grant{{may: everything, streams: []stream.Pattern{everyStream()}}}}, nil
	case c.Stream != "":
		id, err := identityOfStream(name, c.Stream, c.Permissions)
		if err == nil {
			id.Key = key
		}
		return id, err
	case len(c.Streams) > 0:
		g := grant{}
		var err error
		if g.may, err = parseScopes(c.Scopes); err != nil {
			return nil, err
		}
		for _, text := range c.Streams {
			p, err := stream.ParsePattern(text)
			if err != nil {
				return nil, err
			}
			g.streams = append(g.streams, p)
		}
		return &Identity{Name: name, Key: key, grants: []grant{g}}, nil
	}
	return nil, errors.New("says neither server, nor stream and permissions, nor streams and scopes")
}
