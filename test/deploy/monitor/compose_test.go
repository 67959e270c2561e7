package monitor

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

// composed is a compose file as docker compose understands it.
type composed struct {
	Services map[string]struct {
		Grace       string `json:"stop_grace_period"`
		ReadOnly    bool   `json:"read_only"`
		HealthCheck struct{ Test []string }
		Ports       []struct{ Published string }
		Volumes     []struct{ Type, Source, Target string }
	}
	Volumes map[string]any
}

// TestComposeTakesTheFile: three nodes that may take their time to stop, each with
// a disk and a port of its own, and with the profile the two that watch them.
func TestComposeTakesTheFile(t *testing.T) {
	compose := tool(t, "docker-compose")
	file := inRepository(t, "deploy", "compose", "compose.yaml")
	for _, profile := range []string{"", "metrics"} {
		args := []string{"-f", file}
		if profile != "" {
			args = append(args, "--profile", profile)
		}
		if out := run(t, "", compose, append(args, "config", "-q")...); out != "" {
			t.Errorf("profile %q: not clean: %s", profile, out)
		}
		var c composed
		if err := json.Unmarshal([]byte(run(t, "", compose, append(args, "config", "--format", "json")...)), &c); err != nil {
			t.Fatal(err)
		}
		want := []string{"node1", "node2", "node3"}
		if profile != "" {
			want = append([]string{"grafana"}, append(want, "prometheus")...)
		}
		var names, ports, disks []string
		for name, s := range c.Services {
			names = append(names, name)
			for _, p := range s.Ports {
				ports = append(ports, p.Published)
			}
			for _, v := range s.Volumes {
				if v.Type == "volume" {
					disks = append(disks, v.Source)
					continue
				}
				if _, err := os.Stat(v.Source); err != nil {
					t.Errorf("%s mounts what is not there: %v", name, err)
				}
			}
			if !strings.HasPrefix(name, "node") {
				continue
			}
			if grace, err := time.ParseDuration(s.Grace); err != nil || grace < 40*time.Second {
				t.Errorf("%s is given %q to stop", name, s.Grace)
			}
			if !s.ReadOnly || !slices.Contains(s.HealthCheck.Test, "health") {
				t.Errorf("%s: read-only %v, health check %q", name, s.ReadOnly, s.HealthCheck.Test)
			}
		}
		slices.Sort(names)
		if !slices.Equal(names, want) {
			t.Errorf("profile %q: got %q, want %q", profile, names, want)
		}
		for what, list := range map[string][]string{"ports": ports, "disks": disks} {
			slices.Sort(list)
			if n := len(slices.Compact(slices.Clone(list))); n != len(list) || n < 3 {
				t.Errorf("profile %q: %s %q", profile, what, list)
			}
		}
	}
}

// TestTheImageIsBuiltFromAllPackages: what .dockerignore leaves out is no part of
// the program. It always runs.
func TestTheImageIsBuiltFromAllPackages(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./cmd/mainstem")
	cmd.Dir = harness.Root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("no go tool here: %v", err)
	}
	ignored := strings.Split(read(t, ".dockerignore"), "\n")
	seen := 0
	for _, pkg := range strings.Fields(string(out)) {
		if path, ours := strings.CutPrefix(pkg, "mainstem/"); ours {
			seen++
			top, _, _ := strings.Cut(path, "/")
			if slices.Contains(ignored, top) || slices.Contains(ignored, path) {
				t.Errorf("package %s is left out", path)
			}
		}
	}
	if seen < 10 {
		t.Fatalf("saw %d packages", seen)
	}
}
