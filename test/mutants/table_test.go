package mutants

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// leastMutants is how many there must be: a table that shrinks proves less.
const leastMutants = 14

// TestEveryMutantAppliesAndCompiles keeps the table from rotting: a mutant that
// does not apply, or does not compile, would count as caught by whatever fails.
func TestEveryMutantAppliesAndCompiles(t *testing.T) {
	top, seen := root(t), map[string]bool{}
	check := newChecker(t, top)
	for _, m := range all() {
		t.Run(m.name, func(t *testing.T) {
			if seen[m.name] || m.breaks == "" || len(m.edits) == 0 || len(m.caught) == 0 {
				t.Fatal("it lacks a name of its own, what it breaks, an edit, or what catches it")
			}
			seen[m.name] = true
			changed, err := m.sources(top)
			if err != nil {
				t.Fatal(err)
			}
			folders := map[string]bool{}
			for file := range changed {
				folders[path.Dir(file)] = true
			}
			for folder := range folders {
				if err := check.compiles(folder, changed); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if len(seen) < leastMutants {
		t.Fatalf("%d mutants, want %d at least", len(seen), leastMutants)
	}
}

// TestEveryCatcherExists: a test that is not there passes with every mutant, but
// only make mutants would say so.
func TestEveryCatcherExists(t *testing.T) {
	top := root(t)
	for _, m := range all() {
		for _, c := range m.caught {
			name, _, _ := strings.Cut(strings.Trim(c.run, "^$"), "/")
			files, err := filepath.Glob(filepath.Join(top, c.pkg, "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, file := range files {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				found = found || bytes.Contains(b, []byte("func "+name+"("))
			}
			if !found {
				t.Errorf("%s: there is no %s in %s", m.name, name, c.pkg)
			}
		}
	}
}

// checker checks the types of a package's sources. What the package imports has
// been compiled for other tests already.
type checker struct {
	top     string
	fset    *token.FileSet
	imports types.Importer
}

func newChecker(t *testing.T, top string) *checker {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}",
		"./stream", "./storage", "./fsm", "./cluster", "./httpapi")
	list.Dir, list.Stderr = top, os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, file, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			exports[name] = file
		}
	}
	c := &checker{top: top, fset: token.NewFileSet()}
	c.imports = importer.ForCompiler(c.fset, "gc", func(name string) (io.ReadCloser, error) {
		file, known := exports[name]
		if !known {
			return nil, fmt.Errorf("%s is not among what go list has shown", name)
		}
		return os.Open(file)
	})
	return c
}

// compiles checks a package with some of its files changed.
func (c *checker) compiles(folder string, changed map[string]string) error {
	names, err := filepath.Glob(filepath.Join(c.top, folder, "*.go"))
	if err != nil {
		return err
	}
	var files []*ast.File
	for _, name := range names {
		if here, err := build.Default.MatchFile(filepath.Dir(name), filepath.Base(name)); err != nil {
			return err
		} else if !here || strings.HasSuffix(name, "_test.go") {
			continue
		}
		var text any // nil: what the file holds
		if edited, ok := changed[path.Join(folder, filepath.Base(name))]; ok {
			text = edited
		}
		f, err := parser.ParseFile(c.fset, name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	_, err = (&types.Config{Importer: c.imports}).Check("mainstem/"+folder, c.fset, files, nil)
	return err
}
