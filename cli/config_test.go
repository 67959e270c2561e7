package cli

import (
	"os"
	"strings"
	"testing"

	"mainstem/test/harness"
)

func TestConfigCommandsShowWithoutStarting(t *testing.T) {
	harness.InDirWith(t, map[string]string{"config/default.toml": "[cluster]\njoin = [\"a:1\", \"b:2\"]\nadmin_token = \"swordfish\"\n"})
	out, errOut, code := command(t, []string{"DS_SERVER__BIND_ADDRESS=127.0.0.1:9"}, "config", "show", "--sources", "--data-dir=d", "--node-id=n")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errOut)
	}
	for _, want := range []string{
		`cluster.join = ["a:1", "b:2"]`, "# config/default.toml", `server.bind_address = "127.0.0.1:9"`, "# DS_SERVER__BIND_ADDRESS", "# --data-dir", "raft.trailing_logs = 10240", "# default",
		`cluster.admin_token = "(hidden)"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "swordfish") {
		t.Error("the secret is shown")
	}
	if out, errOut, code := command(t, nil, "config", "check"); code != 1 || !strings.Contains(errOut, "[validate_config] storage.data_dir (--data-dir)") {
		t.Errorf("check without a data directory: exit %d, %q, %q", code, out, errOut)
	}
	if out, errOut, code := command(t, nil, "config", "check", "--data-dir=d"); code != 0 || out != "ok (profile default)\n" {
		t.Errorf("check: exit %d, %q, %q", code, out, errOut)
	}
	if _, err := os.Stat("d"); !os.IsNotExist(err) {
		t.Error("the data directory was made")
	}
}

func TestShownSettingsAreAFileThatSaysTheSame(t *testing.T) {
	harness.InDirWith(t, nil)
	args := []string{"--data-dir=d", "--node-id=n", "--join=a:1,b:2", "--long-poll-timeout=3s", "--max-body-bytes=2MiB"}
	out, errOut, code := command(t, nil, append([]string{"config", "show"}, args...)...)
	if code != 0 {
		t.Fatal(errOut)
	}
	harness.InDirWith(t, map[string]string{"own.toml": out})
	again, errOut, code := command(t, nil, "config", "show", "--config=own.toml")
	if code != 0 || again != out {
		t.Fatalf("exit %d, %s; got\n%s\nwant\n%s", code, errOut, again, out)
	}
}

func TestConfigCheckTellsOlderNames(t *testing.T) {
	harness.InDirWith(t, nil)
	_, errOut, code := command(t, []string{"DS_SERVER__PORT=9"}, "config", "check", "--data-dir=d", "--node-id=n")
	if code != 0 || !strings.Contains(errOut, "note: DS_SERVER__PORT") {
		t.Errorf("config check: exit %d, %q", code, errOut)
	}
}
