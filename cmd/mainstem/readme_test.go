package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// tour returns the curl commands of the README's tour, in order, a line each.
func tour(t *testing.T) (commands []string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "base=http://127.0.0.1:4437/v1/stream\n")
	if !found {
		t.Fatal("the README has no tour that begins with base=")
	}
	block, _, _ := strings.Cut(rest, "```")
	for line := range strings.Lines(strings.ReplaceAll(block, "\\\n", "")) {
		if strings.HasPrefix(line, "curl ") {
			commands = append(commands, strings.TrimSpace(line))
		}
	}
	return commands
}

func TestTheTourOfTheReadmeWorks(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl here")
	}
	_, base := dev(t, "--long-poll-timeout", "300ms", "--sse-reconnect-interval", "500ms")
	wants := []string{
		"HTTP/1.1 201 ", // a stream
		"HTTP/1.1 204 ", // one message
		"HTTP/1.1 204 ", // an array of two
		`[{"from":"ada","text":"hello"},{"text":"one"},{"text":"two"}]`, // all of it
		"event: data",   // as events
		"HTTP/1.1 204 ", // a long-poll without news
		"HTTP/1.1 200 ", // a producer
		"HTTP/1.1 201 ", // a fork
		"HTTP/1.1 204 ", // closed
	}
	commands := tour(t)
	if len(commands) != len(wants) {
		t.Fatalf("got %d commands, want %d: %q", len(commands), len(wants), commands)
	}
	for i, command := range commands {
		out, err := exec.Command("sh", "-c", "base="+base+"; "+command+" -sS --max-time 10").CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		if !strings.Contains(string(out), wants[i]) {
			t.Fatalf("%s: got %q, want it to hold %q", command, out, wants[i])
		}
	}
}
