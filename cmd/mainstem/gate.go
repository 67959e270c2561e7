package main

import (
	"errors"
	"fmt"
	"log/slog"

	"mainstem/auth"
	"mainstem/settings"
)

// openGate opens the ways in that are named.
func openGate(cfg settings.Config, log *slog.Logger) (g *auth.Gate, err error) {
	a := cfg.Auth
	g = &auth.Gate{AdminToken: cfg.Cluster.AdminToken}
	failed := func(key string, problem error) {
		if problem != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", key, problem))
		}
	}
	var problem error
	if a.KeysPath != "" {
		g.Keys, problem = auth.OpenKeys(auth.KeysConfig{Path: a.KeysPath, Log: log})
		failed("auth.api_keys_path", problem)
	}
	if a.SignedSecret != "" || a.SignedPath != "" {
		secrets, problem := a.SignedSecrets()
		if problem == nil {
			g.Signed, problem = auth.NewSigned(auth.SignedConfig{Secrets: secrets})
		}
		failed("auth.signed_url", problem)
	}
	if a.TakesJWT() {
		g.Tokens, problem = auth.OpenTokens(auth.TokensConfig{KeyPath: a.JWTKeyPath, JWKSPath: a.JWKSPath, JWKSURL: a.JWKSURL,
			Issuer: a.Issuer, Audience: a.Audience, Algorithms: a.Algorithms, Cookie: a.Cookie, Log: log})
		failed("auth.jwt", problem)
	}
	if a.ForwardURL != "" {
		g.Forward, problem = auth.NewForward(auth.ForwardConfig{URL: a.ForwardURL, CopyHeaders: a.CopyHeaders,
			Timeout: a.ForwardTimeout, AtOnce: a.ForwardAtOnce, CacheTTL: a.ForwardCache})
		failed("auth.forward.url", problem)
	}
	if err == nil && !g.Open() && a.AllowAnonymous {
		log.Warn("anyone who reaches this node may read, write and delete every stream", "setting", "auth.allow_anonymous")
	}
	return g, err
}
