package settings

import (
	"os"
	"strings"
	"time"
)

func authSettings() []setting {
	return []setting{
		{key: "auth.allow_anonymous", flag: "allow-anonymous", std: "false",
			value: flag(func(c *Config) *bool { return &c.Auth.AllowAnonymous }),
			usage: "let the profiles for production run though anyone may do everything"},
		{key: "auth.api_keys_path", flag: "auth-keys",
			value: text(func(c *Config) *string { return &c.Auth.KeysPath }),
			usage: "TOML file of API keys (`mainstem auth new-key` makes them); read again when it changes"},
		{key: "auth.signed_url.secret", secret: true,
			value: text(func(c *Config) *string { return &c.Auth.SignedSecret }),
			usage: "the key with which a Rails application signs tokens into URLs, 16 bytes at least. It has no flag: others could read it in the list of processes"},
		{key: "auth.signed_url.secret_path", flag: "auth-signed-url-secrets",
			value: text(func(c *Config) *string { return &c.Auth.SignedPath }),
			usage: "file of such keys, one a line, each of which is good"},
		{key: "auth.jwt.key_path", flag: "auth-jwt-key",
			value: text(func(c *Config) *string { return &c.Auth.JWTKeyPath }),
			usage: "PEM file of public keys or certificates of those who sign JWTs, or of a shared secret in a block named SECRET; read again when it changes"},
		{key: "auth.jwt.jwks_path", flag: "auth-jwks",
			value: text(func(c *Config) *string { return &c.Auth.JWKSPath }),
			usage: "the same as a JWKS file"},
		{key: "auth.jwt.jwks_url", flag: "auth-jwks-url",
			value: webURL(func(c *Config) *string { return &c.Auth.JWKSURL }),
			usage: "the same, fetched when it is needed, and again after 5 minutes and for a key that is not in it"},
		{key: "auth.jwt.issuer", flag: "auth-jwt-issuer",
			value: text(func(c *Config) *string { return &c.Auth.Issuer }),
			usage: "what iss must be; any when not given"},
		{key: "auth.jwt.audience", flag: "auth-jwt-audience",
			value: text(func(c *Config) *string { return &c.Auth.Audience }),
			usage: "what aud must hold; any when not given"},
		{key: "auth.jwt.algorithms", flag: "auth-jwt-algorithms", std: "ES256,EdDSA,RS256",
			value: someOf(func(c *Config) *[]string { return &c.Auth.Algorithms }, "ES256", "EdDSA", "RS256", "HS256"),
			usage: "by which JWTs may be signed"},
		{key: "auth.jwt.cookie", flag: "auth-jwt-cookie",
			value: text(func(c *Config) *string { return &c.Auth.Cookie }),
			usage: "cookie in which a browser may bring a JWT; looked at when there is no other credential"},
		{key: "auth.forward.url", flag: "auth-forward",
			value: webURL(func(c *Config) *string { return &c.Auth.ForwardURL }),
			usage: "authorisation service that is asked about each request, as Caddy's forward_auth does"},
		{key: "auth.forward.copy_headers", flag: "auth-forward-copy-headers",
			value: headerNames(func(c *Config) *[]string { return &c.Auth.CopyHeaders }),
			usage: "headers taken over from its answer, in place of the client's"},
		{key: "auth.forward.timeout", flag: "auth-forward-timeout", std: "5s",
			value: duration(func(c *Config) *time.Duration { return &c.Auth.ForwardTimeout }),
			usage: "how long it may take; then the request is refused"},
		{key: "auth.forward.max_concurrent", flag: "auth-forward-max-concurrent", std: "64",
			value: count(func(c *Config) *int { return &c.Auth.ForwardAtOnce }, 1, 100_000),
			usage: "how many questions it is asked at once; others wait, within the timeout"},
		{key: "auth.forward.cache_ttl", flag: "auth-forward-cache-ttl",
			value: duration(func(c *Config) *time.Duration { return &c.Auth.ForwardCache }),
			usage: "how long its consent is good for requests that are equal but for their offset; not at all when not given"},
	}
}

// SignedSecrets are the setting's and those of the file, one a line.
func (a Auth) SignedSecrets() (secrets [][]byte, err error) {
	if a.SignedSecret != "" {
		secrets = append(secrets, []byte(a.SignedSecret))
	}
	if a.SignedPath == "" {
		return secrets, nil
	}
	content, err := os.ReadFile(a.SignedPath)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			secrets = append(secrets, []byte(line))
		}
	}
	return secrets, nil
}
