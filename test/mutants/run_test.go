//go:build mutants

package mutants

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

// envOnly is a pattern of names: the others are left out, and the table is not
// written.
const envOnly = "MAINSTEM_MUTANTS"

const (
	unitWithin    = "4m"
	processWithin = "12m"
)

// TestTheBatteryCatchesEveryMutant runs what should catch each mutant, without
// and with it: it must pass without, and fail with it.
func TestTheBatteryCatchesEveryMutant(t *testing.T) {
	only, err := regexp.Compile(os.Getenv(envOnly))
	if err != nil {
		t.Fatalf("%s: %v", envOnly, err)
	}
	r := &runner{top: root(t), sound: map[catcher]outcome{}}
	var rows []row
	complete, began := true, time.Now()
	for _, m := range all() {
		if !only.MatchString(m.name) {
			complete = false
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			dir := t.TempDir()
			overlay, err := m.overlay(r.top, dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range m.caught {
				verdict := r.try(t, c, overlay, dir)
				rows = append(rows, row{m, c, verdict})
				complete = complete && !t.Failed()
			}
		})
	}
	t.Logf("%d mutants in %v", len(rows), time.Since(began).Round(time.Second))
	if !complete {
		t.Log("the table is not written: not all mutants were run and caught")
		return
	}
	if err := publish(filepath.Join(r.top, "docs", "reliability.md"), rows); err != nil {
		t.Fatal(err)
	}
}

// overlay writes the edited files below dir, and the file that tells the go tool
// to take them for the real ones.
func (m *mutant) overlay(top, dir string) (path string, err error) {
	changed, err := m.sources(top)
	if err != nil {
		return "", err
	}
	return harness.Overlay(top, dir, changed)
}

// outcome is how one run of a catcher ended.
type outcome struct {
	passed, skipped bool
	took            time.Duration
	output          string
}

// runner runs catchers, each of them once without a mutant.
type runner struct {
	top   string
	sound map[catcher]outcome
}

// try returns what the table says of a mutant and a catcher.
func (r *runner) try(t *testing.T, c catcher, overlay, dir string) string {
	t.Helper()
	sound, known := r.sound[c]
	if !known {
		sound = r.run(t, c, "", "")
		r.sound[c] = sound
	}
	switch {
	case sound.skipped:
		t.Logf("SKIPPED: %s cannot be run here", c)
		return "cannot be run here"
	case !sound.passed:
		t.Errorf("%s fails without the mutant:\n%s", c, sound.output)
		return ""
	}
	program := ""
	if c.kind != unit {
		program = filepath.Join(dir, "mainstem")
		if out, err := r.command("go", "build", "-overlay", overlay, "-o", program, "./cmd/mainstem").CombinedOutput(); err != nil {
			t.Fatalf("build the program: %v\n%s", err, out)
		}
	}
	var took time.Duration
	for range max(1, c.repeats) {
		o := r.run(t, c, overlay, program)
		took += o.took
		if !o.passed {
			complaint, fair := complaintIn(o.output)
			if !fair {
				t.Errorf("%s did not fail by a finding of its own:\n%s", c, o.output)
			}
			t.Logf("caught by %s in %v: %s", c, took.Round(100*time.Millisecond), complaint)
			return fmt.Sprintf("%.1f s", took.Seconds())
		}
	}
	t.Errorf("IT LIVES: %s does not see it", c)
	return ""
}

// run runs a catcher; with an overlay its package is built with the mutant, and
// with a program that one is run.
func (r *runner) run(t *testing.T, c catcher, overlay, program string) outcome {
	t.Helper()
	args := []string{"test", "-count=1", "-v", "-run", c.run}
	switch c.kind {
	case unit:
		args = append(args, "-timeout", unitWithin)
		if overlay != "" {
			args = append(args, "-overlay", overlay)
		}
	default:
		args = append(args, "-timeout", processWithin)
	}
	cmd := r.command("go", append(args, "./"+c.pkg)...)
	cmd.Env = os.Environ()
	set := func(key, value string) {
		if value != "" {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
	}
	set("MAINSTEM_BIN", program)
	switch c.kind {
	case unit:
		set("MAINSTEM_SIM_SEED", c.seed)
	case battery:
		set("MAINSTEM_BATTERY", "1")
	case faults:
		set("MAINSTEM_CHAOS", "slice")
		set("MAINSTEM_CHAOS_SEED", c.seed)
	}
	start := time.Now()
	out, err := cmd.CombinedOutput()
	text := string(out)
	if err == nil && !strings.Contains(text, "--- PASS") && !strings.Contains(text, "--- SKIP") {
		t.Errorf("%s runs no test", c)
	}
	return outcome{err == nil, strings.Contains(text, "--- SKIP"), time.Since(start), text}
}

func (r *runner) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = r.top
	return cmd
}

var (
	failure   = regexp.MustCompile(`(?m)^\s*--- FAIL: .*$`)
	complaint = regexp.MustCompile(`(?m)^\s+[a-z_]+\.go:\d+: .*$`)
	shownLogs = regexp.MustCompile(`(?m)^\s+(logs|history_test)\.go:.*$`)
	crash     = regexp.MustCompile(`(?m)^panic: .*$`)
)

// complaintIn finds what a failed run complained of. A build that broke, and a
// run that was cut off, are no findings.
func complaintIn(output string) (text string, fair bool) {
	if strings.Contains(output, "[build failed]") || strings.Contains(output, "panic: test timed out") {
		return "", false
	}
	if p := crash.FindString(output); p != "" {
		return p, true
	}
	at := failure.FindStringIndex(output)
	if at == nil {
		return "", false
	}
	output = shownLogs.ReplaceAllString(output, "")
	// With -v what a test says stands before its result, and its last word is the
	// one that ended it.
	all := complaint.FindAllString(output, -1)
	if len(all) == 0 {
		return strings.TrimSpace(output[at[0]:at[1]]), true
	}
	return shorten(strings.TrimSpace(all[len(all)-1])), true
}

func shorten(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
