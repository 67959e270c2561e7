package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"mainstem/auth"
	"mainstem/phase"
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

// authCommand helps to make credentials.
func authCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "auth", Short: "Make credentials"}
	cmd.AddCommand(newKeyCommand())
	return cmd
}

func newKeyCommand() *cobra.Command {
	var name string
	var scopes, streams []string
	cmd := &cobra.Command{
		Use:     "new-key",
		Short:   "Make an API key and the lines for the file of auth.api_keys_path",
		Long:    "Make an API key. The key goes to standard error, once and nowhere else; the lines for the file, which hold only its hash, to standard output.",
		Example: "  mainstem auth new-key --name app --scopes read,append --streams 'chat/**' >> keys.toml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, entry, err := auth.NewEntry(name, scopes, streams)
			if err != nil {
				return phase.Load.In(err)
			}
			if _, err := fmt.Fprint(cmd.OutOrStdout(), entry); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.ErrOrStderr(), key)
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "whom the key is for, as logs and refusals name it")
	cmd.Flags().StringSliceVar(&scopes, "scopes", nil, "some of read, append, create, delete, admin")
	cmd.Flags().StringSliceVar(&streams, "streams", []string{"**"}, "patterns of streams: * is one segment, ** any number")
	return cmd
}
