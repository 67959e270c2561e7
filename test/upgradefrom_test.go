package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mainstem/test/harness"
)

// levelFile came with the policy of docs/upgrading.md: nothing before it was
// released, so no version before it has to be understood.
const levelFile = "stream/level.go"

// formats are the files that say what lies on disk and on the wire: golden bytes
// count as they are, of sources the constants.
var formats = []string{
	levelFile, "stream/bundle.go", "stream/record.go", "stream/state_codec.go", "stream/testdata", "subs/codec.go", "subs/testdata",
	"storage/sealed.go", "storage/globals.go", "storage/options.go", "storage/record.go", "storage/archive.go", "storage/testdata",
	"cluster/handshake.go", "cluster/rpc.go", "backup/frame.go", "backup/manifest.go",
}

// formatConstant is a line that gives a format its number, or a method of the peer
// protocol its place.
var formatConstant = regexp.MustCompile(`(?m)^\s*(?:const )?(Level|LevelOldest|level[A-Z]\w*|formatVersion|globalsVersion|copyFormat|codecID|archive(?:Magic|Name)|(?:state|record|bundle|link|handshake|Wire)?[vV]ersion|manifestFormat|method[A-Z]\w*)\b(?:\s+byte)?\s*(?:=\s*([^/\n]*)|$|//)`)

// history is the repository that a test runs in.
type history struct{ top string }

func (h history) git(args ...string) (string, error) {
	out, err := exec.Command("git", append([]string{"-C", h.top}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}

// said is what a version says of its formats: of a commit, or of the files as they
// are for "".
func (h history) said(commit string) (string, error) {
	var all strings.Builder
	list := []string{"ls-files", "--"}
	if commit != "" {
		list = []string{"ls-tree", "-r", "--name-only", commit, "--"}
	}
	names, err := h.git(append(list, formats...)...)
	if err != nil {
		return "", err
	}
	for _, name := range strings.Fields(names) {
		content := ""
		if commit != "" {
			content, err = h.git("show", commit+":"+name)
		} else {
			var b []byte
			b, err = os.ReadFile(filepath.Join(h.top, name))
			content = string(b)
		}
		if err != nil {
			return "", err
		}
		if !strings.HasSuffix(name, ".go") {
			fmt.Fprintf(&all, "%s\n%s", name, content)
			continue
		}
		for _, m := range formatConstant.FindAllStringSubmatch(content, -1) {
			fmt.Fprintf(&all, "%s: %s = %s\n", name, m[1], strings.TrimSpace(m[2]))
		}
	}
	return all.String(), nil
}

// other returns the newest commit since the policy whose formats are not those of
// the files as they are, "" for none.
func (h history) other() (commit string, err error) {
	began, err := h.git("log", "--diff-filter=A", "--format=%H", "--", levelFile)
	if err != nil {
		return "", err
	}
	first := strings.Fields(began)
	if len(first) == 0 {
		return "", nil
	}
	start := first[len(first)-1]
	since, err := h.git(append([]string{"rev-list", "--ancestry-path", start + "..HEAD", "--"}, formats...)...)
	if err != nil {
		return "", err
	}
	own, err := h.said("")
	if err != nil {
		return "", err
	}
	for _, commit := range append(strings.Fields(since), start) {
		if says, err := h.said(commit); err != nil || says != own {
			return commit, err
		}
	}
	return "", nil
}

// TestAClusterIsRolledFromTheNewestCommitOfOtherFormats builds the newest commit
// whose formats or commands are others, rolls it to this version under load, and so
// has its data directories opened.
func TestAClusterIsRolledFromTheNewestCommitOfOtherFormats(t *testing.T) {
	harness.Require(t)
	h := history{harness.Root(t)}
	commit, err := h.other()
	switch {
	case err != nil:
		t.Skipf("the history cannot be read, so there is no older version to roll from: %v", err)
	case commit == "":
		t.Skip("no commit since levels came has other formats or commands than this one; TestAClusterIsRolledToANewerVersionUnderLoad makes its own pair")
	}
	named, _ := h.git("log", "-1", "--format=%h %cs %s", commit)
	t.Logf("from %s", strings.TrimSpace(named))
	older := h.program(t, commit)
	c := harness.NewCluster(t, 3)
	for _, n := range c.Nodes {
		n.Program = older
	}
	c.Start()
	c.WaitReady()
	roll(t, c, harness.Binary(t), func(int) {})
	c.WaitEqual()
}

// program builds a commit, in a directory of its own.
func (h history) program(t *testing.T, commit string) string {
	t.Helper()
	dir := t.TempDir()
	archive := filepath.Join(dir, "tree.tar")
	if _, err := h.git("archive", "-o", archive, commit); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(dir, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-xf", archive, "-C", tree).CombinedOutput(); err != nil {
		t.Fatalf("unpack %s: %v\n%s", commit, err, out)
	}
	return harness.BuildProgram(t, tree, filepath.Join(dir, "mainstem"))
}

// TestTheNewestCommitOfOtherFormatsIsFound judges the search, in a repository of its
// own.
func TestTheNewestCommitOfOtherFormatsIsFound(t *testing.T) {
	h := history{t.TempDir()}
	git := func(args ...string) string {
		out, err := h.git(append([]string{"-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"}, args...)...)
		if err != nil {
			t.Skipf("git does not work here: %v", err)
		}
		return strings.TrimSpace(out)
	}
	commit := func(files ...string) string {
		for i := 0; i < len(files); i += 2 {
			path := filepath.Join(h.top, files[i])
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		git("add", ".")
		git("commit", "-q", "-m", "x")
		return git("rev-parse", "HEAD")
	}
	want := func(what, commit string) {
		t.Helper()
		if got, err := h.other(); err != nil || got != commit {
			t.Fatalf("%s: found %q, %v; want %q", what, got, err, commit)
		}
	}
	git("init", "-q")
	commit("storage/sealed.go", "const formatVersion = 0\n")
	want("before there were levels", "")
	first := commit(levelFile, "\tLevel = 2\n", "storage/sealed.go", "const formatVersion = 1\n", "stream/testdata/a.golden", "01\n")
	want("none differs", "")
	commit("storage/sealed.go", "const formatVersion = 1 // said better\n\nfunc f() {}\n")
	want("none differs but in words", "")
	commit("storage/sealed.go", "const formatVersion = 2\n")
	second := commit("stream/testdata/a.golden", "02\n")
	commit(levelFile, "\tLevel = 3\n")
	want("three differ", second)
	commit(levelFile, "\tLevel = 2\n", "stream/testdata/a.golden", "01\n", "storage/sealed.go", "const formatVersion = 1\n")
	if got, err := h.other(); err != nil || got == "" || got == first {
		t.Fatalf("back to what was first: found %q, %v; want the commit before", got, err)
	}
}
