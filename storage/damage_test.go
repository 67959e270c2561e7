package storage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// crashCopy copies the files of a log that is in use: what a kill -9 leaves.
func crashCopy(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "log")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// eachDamage damages the files of a directory one way after the other and puts
// them back each time.
func eachDamage(t *testing.T, dir string, fn func(what string)) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	original := make(map[string][]byte)
	for _, e := range entries {
		if original[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	restore := func() {
		now, _ := os.ReadDir(dir)
		for _, e := range now {
			os.Remove(filepath.Join(dir, e.Name()))
		}
		for name, data := range original {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, data := range original {
		path := filepath.Join(dir, name)
		for _, i := range interesting(data) {
			damaged := bytes.Clone(data)
			damaged[i] ^= 1 << (i % 8)
			restore()
			os.WriteFile(path, damaged, 0o644)
			fn(fmt.Sprintf("%s: byte %d of %d flipped", name, i, len(data)))
		}
		for _, n := range []int{0, 1, len(data) / 3, len(data) / 2, len(data) - 1} {
			restore()
			os.WriteFile(path, data[:n], 0o644)
			fn(fmt.Sprintf("%s: cut from %d to %d bytes", name, len(data), n))
		}
		restore()
		os.Remove(path)
		fn(name + ": removed")
	}
	restore()
}

// interesting returns the places of bytes that are not zero, and a few others:
// no more than some hundreds.
func interesting(data []byte) (at []int) {
	for i, b := range data {
		if b != 0 || i%512 == 3 {
			at = append(at, i)
		}
	}
	const most = 400
	if len(at) <= most {
		return at
	}
	step := float64(len(at)) / most
	var some []int
	for x := 0.0; int(x) < len(at); x += step {
		some = append(some, at[int(x)])
	}
	return some
}
