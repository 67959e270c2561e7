package main

import (
	"strings"
	"testing"

	"mainstem/test/harness"
)

func TestAKeyFileThatCannotBeUsedStopsTheStart(t *testing.T) {
	harness.InDirWith(t, map[string]string{"short": "0f0f"})
	for file, want := range map[string]string{
		"none":  "[join_cluster] --webhooks-key-encryption-key-file: open none: no such file",
		"short": "[join_cluster] --webhooks-key-encryption-key-file short: ",
	} {
		_, errOut, code := runWith(t, nil, "dev", "--addr=127.0.0.1:0", "--storage-mode=memory", "--webhooks-key-encryption-key-file="+file)
		if code != 1 || !strings.Contains(errOut, want) {
			t.Errorf("%s: exit %d, %q, want %q", file, code, errOut, want)
		}
	}
}
