package harness

import (
	"os"
	"path/filepath"
	"testing"
)

// Require skips the test unless the battery was asked for.
func Require(t testing.TB) {
	t.Helper()
	if os.Getenv("MAINSTEM_BATTERY") == "" {
		t.Skip("part of the battery; run make battery")
	}
}

// Binary returns the program under test: MAINSTEM_BIN, or bin/mainstem of this
// checkout.
func Binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("MAINSTEM_BIN"); path != "" {
		return path
	}
	path := filepath.Join(Root(t), "bin", "mainstem")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no program to test, run make build first: %v", err)
	}
	return path
}

// Root returns the top of this checkout.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}
