package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mainstem/bench"
	"mainstem/test/harness"
)

// Replicated stores that do not speak the protocol. A program of their own module
// drives them as package bench drives the others.
const (
	etcd = "etcd, three nodes"
	nats = "NATS JetStream R3, each message synced"
)

// built is where setup.sh has put a program.
func built(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(harness.Root(t), "test", "bench", "rival", "raftstores", "bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; test/bench/setup.sh builds it", err)
	}
	return path
}

// appendTo measures a store by the program.
func appendTo(t *testing.T, kind string, servers []string) func(context.Context, bench.Config) (*bench.Result, error) {
	program := built(t, "raftstores")
	return func(ctx context.Context, c bench.Config) (*bench.Result, error) {
		cmd := exec.CommandContext(ctx, program, "-kind", kind, "-servers", strings.Join(servers, ","),
			"-writers", strconv.Itoa(c.Connections), "-duration", c.Duration.String())
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		r := &bench.Result{}
		return r, json.Unmarshal(out, r)
	}
}

func startEtcd(t *testing.T) running {
	program, err := exec.LookPath("etcd")
	if err != nil {
		t.Skipf("%v; Debian's package is etcd-server", err)
	}
	dir := harness.Dir(t)
	var names, clients, peers, cluster []string
	for i := range 3 {
		names, clients, peers = append(names, fmt.Sprintf("e%d", i)), append(clients, harness.FreeAddr(t)), append(peers, "http://"+harness.FreeAddr(t))
		cluster = append(cluster, names[i]+"="+peers[i])
	}
	r := running{run: appendTo(t, "etcd", clients)}
	for i, name := range names {
		p := startProgram(t, name, program, "--name", name, "--data-dir", filepath.Join(dir, name), "--quota-backend-bytes", "8000000000",
			"--listen-client-urls", "http://"+clients[i], "--advertise-client-urls", "http://"+clients[i],
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i], "--initial-cluster", strings.Join(cluster, ","))
		r.pids = append(r.pids, p.Pid())
	}
	return r
}

func startNATS(t *testing.T) running {
	dir := harness.Dir(t)
	var clients, routes []string
	for range 3 {
		clients, routes = append(clients, harness.FreeAddr(t)), append(routes, harness.FreeAddr(t))
	}
	r := running{run: appendTo(t, "nats", clients)}
	for i := range clients {
		config := filepath.Join(dir, fmt.Sprintf("n%d.conf", i))
		text := fmt.Sprintf(`server_name: n%d
listen: "%s"
jetstream { store_dir: "%s", sync_interval: always }
cluster { name: bench, listen: "%s", routes: [nats://%s] }
`, i, clients[i], filepath.Join(dir, fmt.Sprintf("n%d", i)), routes[i], strings.Join(routes, ", nats://"))
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p := startProgram(t, "nats-server", built(t, "nats-server"), "-c", config)
		r.pids = append(r.pids, p.Pid())
	}
	return r
}
