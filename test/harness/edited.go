package harness

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Edit is a change of one of this tree's files; before stands in it once.
type Edit struct{ File, Before, After string }

// BuildEdited builds the program of this tree with edits laid over its files, which
// stay as they are.
func BuildEdited(t testing.TB, edits ...Edit) string {
	t.Helper()
	dir, top := t.TempDir(), Root(t)
	texts := map[string]string{}
	for _, e := range edits {
		if _, known := texts[e.File]; !known {
			b, err := os.ReadFile(filepath.Join(top, e.File))
			if err != nil {
				t.Fatal(err)
			}
			texts[e.File] = string(b)
		}
		if n := strings.Count(texts[e.File], e.Before); n != 1 {
			t.Fatalf("%q stands %d times in %s, want once; fit the edit to the code", e.Before, n, e.File)
		}
		texts[e.File] = strings.Replace(texts[e.File], e.Before, e.After, 1)
	}
	overlay, err := Overlay(top, dir, texts)
	if err != nil {
		t.Fatal(err)
	}
	return BuildProgram(t, top, filepath.Join(dir, "mainstem"), "-overlay", overlay)
}

// Overlay writes texts, by the names of files below top, into dir, and returns the
// file that tells the go tool to take them for those files.
func Overlay(top, dir string, texts map[string]string) (path string, err error) {
	replace := map[string]string{}
	for file, text := range texts {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(top, file)] = to
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, b, 0o644)
}

// BuildProgram builds the program of a tree, as make does, so that what it needs of
// others' packages has been built already.
func BuildProgram(t testing.TB, top, to string, args ...string) string {
	t.Helper()
	began := time.Now()
	cmd := exec.Command("go", append(append([]string{"build", "-trimpath"}, args...), "-o", to, "./cmd/mainstem")...)
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", top, err, out)
	}
	t.Logf("built in %v", time.Since(began).Round(time.Second))
	return to
}
