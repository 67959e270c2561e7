package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mainstem/auth"
)

// openGate opens the ways in that are named.
func openGate(cfg config, log *slog.Logger) (g *auth.Gate, err error) {
	a := cfg.auth
	g = &auth.Gate{AdminToken: cfg.cluster.adminToken}
	failed := func(key string, problem error) {
		if problem != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", key, problem))
		}
	}
	var problem error
	if a.keysPath != "" {
		g.Keys, problem = auth.OpenKeys(auth.KeysConfig{Path: a.keysPath, Log: log})
		failed("auth.api_keys_path", problem)
	}
	if a.signedSecret != "" || a.signedPath != "" {
		secrets, problem := a.signedSecrets()
		if problem == nil {
			g.Signed, problem = auth.NewSigned(auth.SignedConfig{Secrets: secrets})
		}
		failed("auth.signed_url", problem)
	}
	if a.takesJWT() {
		g.Tokens, problem = auth.OpenTokens(auth.TokensConfig{KeyPath: a.jwtKeyPath, JWKSPath: a.jwksPath, JWKSURL: a.jwksURL,
			Issuer: a.issuer, Audience: a.audience, Algorithms: a.algorithms, Cookie: a.cookie, Log: log})
		failed("auth.jwt", problem)
	}
	if a.forwardURL != "" {
		g.Forward, problem = auth.NewForward(auth.ForwardConfig{URL: a.forwardURL, CopyHeaders: a.copyHeaders,
			Timeout: a.forwardTimeout, AtOnce: a.forwardAtOnce, CacheTTL: a.forwardCache})
		failed("auth.forward.url", problem)
	}
	if err == nil && !g.Open() && a.allowAnonymous {
		log.Warn("anyone who reaches this node may read, write and delete every stream", "setting", "auth.allow_anonymous")
	}
	return g, err
}

// signedSecrets are the setting's and those of the file, one a line.
func (a authConfig) signedSecrets() (secrets [][]byte, err error) {
	if a.signedSecret != "" {
		secrets = append(secrets, []byte(a.signedSecret))
	}
	if a.signedPath == "" {
		return secrets, nil
	}
	content, err := os.ReadFile(a.signedPath)
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
				return phaseLoad.in(err)
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
