package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"mainstem/cluster"
	"mainstem/operator"
)

// keyringCommand changes the keys of gossip of a living cluster.
func keyringCommand(a *asker, in Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use: "keyring", Short: "List and change the keys by which gossip is encrypted",
		Long: "List and change the keys by which gossip is encrypted, on all members at once. To replace a key:\n" +
			"add the new one, use it, remove the old one. A key is named by its fingerprint.",
		Example: "  mainstem cluster keyring generate > new.key\n" +
			"  mainstem cluster keyring add new.key\n" +
			"  mainstem cluster keyring use 1f9a8e6f0c27d3b4\n" +
			"  mainstem cluster keyring remove 6d0c9e2b71f3a855",
	}
	named := func(do, done, short string) *cobra.Command {
		return &cobra.Command{Use: do + " FINGERPRINT", Short: short, Args: words(1, 1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.changeKeys(cmd.Context(), cluster.KeyChange{Do: do, Fingerprint: args[0]}, done+" "+args[0])
			}}
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "Show which member has which keys; the first of each encrypts", Args: NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				var list []cluster.NodeKeys
				return a.show(cmd.Context(), operator.KeyringPath, &list, func() error { return printKeys(a.out, list) })
			}},
		&cobra.Command{Use: "generate", Short: "Make a key, for the file of cluster.gossip_key_path and for add", Args: NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				key := make([]byte, 32)
				rand.Read(key) // never fails
				_, err := fmt.Fprintln(a.out, base64.StdEncoding.EncodeToString(key))
				return err
			}},
		&cobra.Command{Use: "add FILE", Short: "Make every member take the key in a file (- for standard input); nothing is encrypted with it yet", Args: words(1, 1),
			RunE: func(cmd *cobra.Command, args []string) error {
				key, err := readKey(args[0], in.Stdin)
				if err != nil {
					return err
				}
				return a.changeKeys(cmd.Context(), cluster.KeyChange{Do: cluster.KeyAdd, Key: key}, "added "+cluster.Fingerprint(key))
			}},
		named(cluster.KeyUse, "in use:", "Make every member encrypt with a key that all have"),
		named(cluster.KeyRemove, "removed", "Make every member forget a key that does not encrypt any more"),
	)
	return cmd
}

// readKey reads the one key of a file. There is no way to give it as a word: others
// could read it in the list of processes.
func readKey(path string, stdin io.Reader) ([]byte, error) {
	var content []byte
	var err error
	if path == "-" {
		content, err = io.ReadAll(io.LimitReader(stdin, cluster.GossipKeysBytesMax))
	} else {
		content, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	keys, err := cluster.ParseGossipKeys(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(keys) != 1 {
		return nil, fmt.Errorf("%s holds %d keys; want the one to add", path, len(keys))
	}
	return keys[0], nil
}

func (a *asker) changeKeys(ctx context.Context, c cluster.KeyChange, done string) error {
	body, err := json.Marshal(c)
	if err != nil {
		return errors.New("the request could not be written as JSON")
	}
	answer, err := a.ask(ctx, http.MethodPost, operator.KeyringPath, body)
	if err != nil {
		return err
	}
	if a.asJSON {
		done = string(bytes.TrimSpace(answer))
	}
	_, err = fmt.Fprintln(a.out, done)
	return err
}

func printKeys(out io.Writer, list []cluster.NodeKeys) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tENCRYPTS WITH\tALSO READS")
	for _, one := range list {
		if one.Error != "" || len(one.Keys) == 0 {
			fmt.Fprintf(w, "%s\t(%s)\t\n", one.NodeID, one.Error)
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", one.NodeID, one.Keys[0], strings.Join(one.Keys[1:], ", "))
	}
	return w.Flush()
}
