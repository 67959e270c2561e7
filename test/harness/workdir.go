package harness

import (
	"os"
	"testing"
	"testing/fstest"
)

// InDirWith gives a test a working directory with these files below it.
func InDirWith(t *testing.T, files map[string]string) {
	t.Helper()
	dir, tree := t.TempDir(), fstest.MapFS{}
	for name, content := range files {
		tree[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o600}
	}
	if err := os.CopyFS(dir, tree); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
}
