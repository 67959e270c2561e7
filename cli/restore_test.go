package cli

import (
	"strings"
	"testing"
)

func TestRestoreAsksForWhatItNeeds(t *testing.T) {
	for args, want := range map[string]string{
		"":                         "say what to restore",
		"--data-dir d --streams x": "say what to restore",
		"--data-dir d":             "--node-id",
		"--data-dir d --node-id a --raft-log-store x": "wal or boltdb",
		"--data-dir d --node-id a --peer-addr x":      "x",
		"--streams x":                                 "--into",
		"--streams x --into http://h --on-conflict y": "fail, skip or replace",
		"--streams x --into nowhere":                  "there is no backup here",
	} {
		_, errs, code := command(t, nil, append([]string{"backup", "restore", t.TempDir()}, strings.Fields(args)...)...)
		if code == 0 || !strings.Contains(errs, want) {
			t.Fatalf("restore %s: code %d, %q; want %q", args, code, errs, want)
		}
	}
}
