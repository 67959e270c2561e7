package monitor

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	imageName      = "localhost/mainstem:test"
	binaryBytesMax = 40 << 20
	healthyWithin  = 60 * time.Second
)

// engine is a program that runs containers, with its options.
type engine struct {
	t       *testing.T
	command []string
	options []string // of run
}

// findEngine returns docker, or podman with what it needs on a machine without
// systemd, whichever works; otherwise it skips the test. Podman keeps all in a
// directory of the test.
func findEngine(t *testing.T) engine {
	t.Helper()
	require(t)
	if exec.Command("docker", "info").Run() == nil {
		return engine{t: t, command: []string{"docker"}}
	}
	dir, err := os.MkdirTemp("", "podman-") // podman takes no long one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	podman := []string{"podman", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs"}
	for _, more := range [][]string{{"--cgroup-manager", "cgroupfs", "--runtime", "runc"}, nil} {
		e := engine{t, append(slices.Clone(podman), more...), []string{"--ulimit", "nofile=1024:4096", "--ulimit", "nproc=4096:4096"}}
		_, err := e.try("info")
		if err == nil {
			return e
		}
		t.Log(err)
	}
	t.Skip("SKIPPED: neither docker nor podman works here")
	return engine{}
}

func (e engine) try(args ...string) (string, error) {
	out, err := exec.Command(e.command[0], append(slices.Clone(e.command[1:]), args...)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), err
}

func (e engine) do(args ...string) string {
	e.t.Helper()
	out, err := e.try(args...)
	if err != nil {
		e.t.Fatal(err)
	}
	return out
}

// build builds the image of a binary that is built here: the first stage needs an
// image from elsewhere.
func (e engine) build() {
	e.t.Helper()
	cmd := exec.Command(inRepository(e.t, "deploy", "image.sh"))
	cmd.Env = append(os.Environ(), "IMAGE="+imageName, "PARTS=host", "ENGINE="+strings.Join(e.command, " "))
	if out, err := cmd.CombinedOutput(); err != nil {
		e.t.Fatalf("make image: %v\n%s", err, out)
	}
}

// wantSmall wants an image without a shell or a root user, that says what it is.
func (e engine) wantSmall() {
	t := e.t
	t.Helper()
	var images []struct {
		Size   int64
		Config struct {
			User        string
			Labels      map[string]string
			Healthcheck struct{ Test []string }
		}
		User        string
		Healthcheck struct{ Test []string }
	}
	if err := json.Unmarshal([]byte(e.do("image", "inspect", imageName)), &images); err != nil || len(images) != 1 {
		t.Fatalf("%d images, %v", len(images), err)
	}
	i := images[0]
	info, err := os.Stat(inRepository(t, "bin", "image", "mainstem"))
	if err != nil || info.Size() >= binaryBytesMax || i.Size >= binaryBytesMax+(4<<20) {
		t.Errorf("the binary has %d bytes, the image %d, %v", info.Size(), i.Size, err)
	}
	t.Logf("the binary has %.1f MB, the image %.1f", float64(info.Size())/1e6, float64(i.Size)/1e6)
	if i.Config.User != "65532:65532" || i.Config.Labels["org.opencontainers.image.version"] == "" || i.Config.Labels["org.opencontainers.image.revision"] == "" {
		t.Errorf("user %q, labels %v", i.Config.User, i.Config.Labels)
	}
	if check := append(i.Config.Healthcheck.Test, i.Healthcheck.Test...); !slices.Contains(check, "health") {
		t.Errorf("health check %q", check)
	}
}

// TestTheImageRunsAsACluster: it is small, and three containers of it, with a
// read-only root and no rights, found a cluster and take appends, and one that is
// stopped ends well while the others go on. They share one network of their own, so
// that no bridge is needed.
func TestTheImageRunsAsACluster(t *testing.T) {
	e := findEngine(t)
	e.build()
	e.wantSmall()
	prefix := fmt.Sprintf("mainstem-test-%d-", os.Getpid())
	var names []string
	t.Cleanup(func() {
		for _, name := range slices.Backward(names) {
			if t.Failed() {
				log, _ := e.try("logs", name)
				t.Logf("%s wrote:\n%s", name, log)
			}
			_, _ = e.try("rm", "-f", "-v", name)
		}
	})
	network := "none"
	for i := range 3 {
		name, port := fmt.Sprint(prefix, i+1), 4437+10*i
		args := append([]string{"run", "-d", "--name", name, "--network", network, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
			"--security-opt", "no-new-privileges", "--stop-timeout", "40"}, e.options...)
		for key, value := range map[string]string{
			"DS_SERVER__BIND_ADDRESS": fmt.Sprint("127.0.0.1:", port), "DS_CLUSTER__PEER_ADDRESS": fmt.Sprint("127.0.0.1:", port+1),
			"DS_CLUSTER__GOSSIP_ADDRESS": fmt.Sprint("127.0.0.1:", port+2), "DS_CLUSTER__NODE_ID": fmt.Sprint("n", i+1),
			"DS_CLUSTER__JOIN": "127.0.0.1:4439,127.0.0.1:4449,127.0.0.1:4459", "DS_CLUSTER__BOOTSTRAP_EXPECT": "3",
			"DS_URL": fmt.Sprint("http://127.0.0.1:", port), "STREAM_URL": fmt.Sprint("http://127.0.0.1:", port, "/v1/stream"),
		} {
			args = append(args, "-e", key+"="+value)
		}
		names = append(names, name)
		e.do(append(args, imageName)...)
		network = "container:" + names[0]
	}
	for _, name := range names {
		harness.Eventually(t, healthyWithin, name+" is ready", func() error {
			_, err := e.try("exec", name, "/mainstem", "health", "--ready")
			return err
		})
	}
	in := func(name string, args ...string) string {
		t.Helper()
		return e.do(append([]string{"exec", name, "/mainstem", "stream"}, args...)...)
	}
	in(names[0], "create", "s", "--content-type", "text/plain")
	in(names[1], "append", "s", "from a container")
	if got := in(names[2], "read", "s"); !strings.Contains(got, "from a container") {
		t.Fatalf("got %q", got)
	}
	e.do("stop", names[2])
	if code := e.do("inspect", "--format", "{{.State.ExitCode}}", names[2]); code != "0" {
		t.Errorf("a container that was stopped ended with %s", code)
	}
	in(names[1], "append", "s", ", and one more")
	if got := in(names[0], "read", "s"); !strings.Contains(got, "from a container, and one more") {
		t.Fatalf("got %q", got)
	}
}
