package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	rubyWithin = 4 * time.Minute
	// railsSecret is what the application and the nodes share.
	railsSecret = "a secret that is shared with Rails"
)

// TestARubyApplicationThroughAFollowerWhileTheLeaderDies does what the Ruby client
// and the Rails gem do, from processes of theirs: test/ruby/rails.rb says what.
func TestARubyApplicationThroughAFollowerWhileTheLeaderDies(t *testing.T) {
	harness.Require(t)
	if _, err := exec.LookPath("ruby"); err != nil {
		t.Skip("there is no ruby here, and test/setup.sh could not install it")
	}
	c, key := startGuarded(t, 3, "create,append,read,delete,admin")
	follower := c.Followers()[0]
	var errors bytes.Buffer
	cmd := exec.Command("ruby", filepath.Join(harness.Root(t), "test", "ruby", "rails.rb"), follower.URL(), strings.Join(c.URLs(), ","), key, railsSecret)
	cmd.Stderr = &errors
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(rubyWithin, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer late.Stop()
	killed := ""
	var last string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if last = lines.Text(); last != "producing" {
			continue
		}
		dead := c.Leader()
		if dead == follower {
			dead = c.Followers()[0] // an election came between: then another dies
		}
		killed = dead.ID
		dead.Kill()
		if _, err := in.Write([]byte("killed\n")); err != nil {
			t.Error(err)
		}
		c.Leader() // another
		dead.Start()
		dead.WaitReady()
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, last, errors.Bytes())
	}
	var got struct {
		Provisioned, Messages, Signed int
		Produced                      struct{ Acknowledged, Retries, Repeats, Reconnects int }
	}
	if err := json.Unmarshal([]byte(last), &got); err != nil {
		t.Fatalf("%v in %s", err, last)
	}
	if killed == "" || got.Provisioned != 12*15 || got.Messages != 30*31/2 || got.Signed != 8 || got.Produced.Acknowledged != 1200 {
		t.Fatalf("killed %q, got %+v", killed, got)
	}
	t.Logf("through follower %s while %s was killed: %+v; copies equal: %+v", follower.ID, killed, got, c.WaitEqual())
}

// startGuarded starts a cluster that lets in an API key and signed URLs, and
// returns the key, with which the nodes' own questions are asked too.
func startGuarded(t *testing.T, n int, scopes string, args ...string) (*harness.Cluster, string) {
	t.Helper()
	dir := t.TempDir()
	var entry, shown bytes.Buffer
	make := exec.Command(harness.Binary(t), "auth", "new-key", "--name", "app", "--scopes", scopes)
	make.Stdout, make.Stderr = &entry, &shown
	if err := make.Run(); err != nil {
		t.Fatalf("%v: %s", err, shown.String())
	}
	keys, secrets := filepath.Join(dir, "keys.toml"), filepath.Join(dir, "secrets")
	for path, content := range map[string]string{keys: entry.String(), secrets: railsSecret + "\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := strings.TrimSpace(shown.String())
	c := harness.NewCluster(t, n, append([]string{"--auth-keys", keys, "--auth-signed-url-secrets", secrets}, args...)...)
	for _, node := range c.Nodes {
		node.Bearer = key
	}
	c.Start()
	c.WaitReady()
	return c, key
}
