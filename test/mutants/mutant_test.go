package mutants

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is one deliberate bug.
type mutant struct {
	name   string
	breaks string // what would be wrong for a user
	edits  []edit
	caught []catcher // each of which must fail
}

// edit replaces a text that stands exactly once in a file.
type edit struct{ file, before, after string }

// catcher is a part of the battery: one run of the go tool.
type catcher struct {
	kind    kind
	pkg     string // below the module
	run     string // of -run: one test
	seed    string // of a run that draws
	repeats int    // how often at most; 0 for once. For what needs luck to be seen
}

// kind says what a catcher needs.
type kind int

const (
	unit    kind = iota // the sources of the package
	battery             // the program, as real processes
	faults              // the program, and root: part of test/chaos
)

func (c catcher) String() string {
	text := fmt.Sprintf("`%s` `%s`", c.pkg, strings.Trim(c.run, "^$"))
	if c.seed != "" {
		text += ", seed " + c.seed
	}
	return text
}

func inUnit(pkg, run string) catcher { return catcher{kind: unit, pkg: pkg, run: "^" + run + "$"} }
func inBattery(run string) catcher   { return catcher{kind: battery, pkg: "test", run: "^" + run + "$"} }
func inChaos(run, seed string) catcher {
	return catcher{kind: faults, pkg: "test/chaos", run: "^" + run + "$", seed: seed}
}
func (c catcher) within(n int) catcher    { c.repeats = n; return c }
func (c catcher) seeded(s string) catcher { c.seed = s; return c }

// all is every mutant, in the order of the published table.
func all() []mutant {
	var list []mutant
	for _, some := range [][]mutant{ofStorage, ofMachine, ofRules, ofCluster, ofHTTP} {
		list = append(list, some...)
	}
	return list
}

// root is the top of the module, where go test runs two folders below it.
func root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// sources are the edited files, by their path below top.
func (m *mutant) sources(top string) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range m.edits {
		text, known := changed[e.file]
		if !known {
			b, err := os.ReadFile(filepath.Join(top, e.file))
			if err != nil {
				return nil, err
			}
			text = string(b)
		}
		if n := strings.Count(text, e.before); n != 1 {
			return nil, fmt.Errorf("%s: what is to be replaced stands %d times in %s, want once; fit the mutant to the code:\n%s", m.name, n, e.file, e.before)
		}
		changed[e.file] = strings.Replace(text, e.before, e.after, 1)
	}
	return changed, nil
}
