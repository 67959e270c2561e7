package mainstem_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "mainstem"

// arrows is the architecture: which of our packages each package may import,
// its tests aside. A new arrow is a decision (docs/adr), not an import line.
var arrows = map[string][]string{
	"stream":              {},
	"storage":             {"stream"},
	"subs":                {"stream"},
	"deliver":             {"stream", "subs"},
	"fsm":                 {"stream", "storage", "subs"},
	"cluster":             {"stream"},
	"cluster/clustertest": {"stream", "cluster"},
	"auth":                {"stream", "fresh"},
	"client":              {"stream"},
	"recovery":            {"storage", "cluster"},
	"backup":              {"stream", "storage"},
	"objects":             {"backup"},
	"doctor":              {"cluster", "peertls"}, // what members tell, not how they are asked
	"httpapi":             {"stream", "subs", "auth", "operator"},
	"wiring":              {"stream", "storage", "cluster", "httpapi", "scrub"},
	"embed":               {"storage", "fsm", "cluster", "httpapi", "wiring"},
	"cmd/mainstem":        {"storage", "fsm", "cluster", "deliver", "auth", "httpapi", "scrub", "backup", "lines", "fresh", "peertls", "wiring", "settings", "phase", "operator", "cli"},
	"cli":                 {"stream", "storage", "cluster", "auth", "client", "recovery", "backup", "objects", "doctor", "bench", "settings", "phase", "operator"}, // a node from outside
	"settings":            {"stream", "storage", "cluster", "deliver", "httpapi", "peertls", "phase", "operator"},                                                  // for the values that each may have
	"phase":               {},
	"operator":            {},
	"scrub":               {"stream", "storage"},
	"lines":               {},
	"fresh":               {},
	"peertls":             {"fresh"},
	"bench":               {}, // any server from outside
	"test":                {},
	"test/harness":        {},
	"test/mutants":        {}, // edits of the sources, not imports of them
	"test/chaos":          {}, // the program from outside
	"test/bench":          {},
	"test/deploy":         {}, // the chart from outside
	"test/deploy/monitor": {}, // alerts, dashboard and image from outside
	"deploy/helm/gen":     {}, // pages of the chart
	"test/sim":            {"stream", "storage", "fsm", "cluster", "cluster/clustertest", "httpapi", "scrub", "wiring"},
}

// strangers lists what a package may not know, by the import that would show
// it: the last column of the table in docs/ARCHITECTURE.md.
var strangers = map[string][]string{
	"stream":   {"os", "net", "net/http", "io/fs", "math/rand", "log", "log/slog", "sync", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2"},
	"storage":  {"net", "net/http", "github.com/labstack/echo/v4", "github.com/hashicorp/memberlist"},
	"fsm":      {"net", "net/http", "os", "github.com/labstack/echo/v4", "github.com/hashicorp/memberlist", "github.com/cockroachdb/pebble/v2"},
	"cluster":  {"net/http", "os", "github.com/labstack/echo/v4", "github.com/cockroachdb/pebble/v2", "github.com/hashicorp/raft-wal", "github.com/hashicorp/raft-boltdb/v2"},
	"backup":   {"net", "net/http", "log/slog", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2", "github.com/labstack/echo/v4", "github.com/hashicorp/memberlist"},
	"objects":  {"net", "log/slog", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2", "github.com/labstack/echo/v4", "github.com/hashicorp/memberlist", "github.com/spf13/cobra"},
	"doctor":   {"os", "io", "context", "net/http", "log/slog", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2", "github.com/labstack/echo/v4", "github.com/spf13/cobra"},
	"recovery": {"os", "net", "net/http", "log/slog", "github.com/labstack/echo/v4", "github.com/hashicorp/memberlist"},
	"auth":     {"github.com/labstack/echo/v4", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2", "github.com/hashicorp/memberlist"},
	"scrub":    {"os", "net", "net/http", "github.com/hashicorp/raft", "github.com/hashicorp/memberlist", "github.com/labstack/echo/v4"},
	"httpapi":  {"os", "io/fs", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2", "github.com/hashicorp/memberlist"},
	"subs":     {"os", "net", "net/http", "io/fs", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog", "sync", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2"},
	"fresh":    {"net", "net/http", "log/slog", "crypto/tls", "github.com/hashicorp/raft", "github.com/hashicorp/memberlist", "github.com/labstack/echo/v4"},
	"peertls":  {"os", "net/http", "github.com/hashicorp/raft", "github.com/hashicorp/memberlist", "github.com/labstack/echo/v4"},
	"deliver":  {"io/fs", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2", "github.com/labstack/echo/v4"},
	"embed":    {"os", "io/fs", "github.com/labstack/echo/v4", "github.com/hashicorp/memberlist", "github.com/spf13/cobra"},
	"settings": {"log/slog", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2", "github.com/labstack/echo/v4", "github.com/hashicorp/memberlist"},
	"cli":      {"log/slog", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2", "github.com/labstack/echo/v4", "github.com/hashicorp/memberlist", "github.com/prometheus/client_golang/prometheus"},
	"operator": {"net", "net/http", "encoding/json", "log/slog", "os", "github.com/spf13/cobra", "github.com/labstack/echo/v4"},
	"lines":    {"github.com/labstack/echo/v4", "github.com/hashicorp/raft", "github.com/cockroachdb/pebble/v2"},
}

func TestPackagesImportOnlyAlongTheArrows(t *testing.T) {
	seen := 0
	for from, imports := range listImports(t) {
		allowed, known := arrows[from]
		if !known {
			t.Errorf("package %s is not on the map; add it to the table and to docs/ARCHITECTURE.md", from)
			continue
		}
		seen++
		for _, imp := range imports {
			to, ours := strings.CutPrefix(imp, module+"/")
			if ours && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s: no such arrow", from, to)
			}
			if slices.Contains(strangers[from], imp) {
				t.Errorf("%s imports %s, which it may not know", from, imp)
			}
		}
	}
	if seen < 6 {
		t.Fatalf("saw %d packages of ours: the test looks at the wrong place", seen)
	}
}

// listImports asks the go tool, so that build constraints count as in a build.
func listImports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if name, ours := strings.CutPrefix(fields[0], module+"/"); ours {
			imports[name] = fields[1:]
		}
	}
	return imports
}

// TestSourcesStayReadable holds the sizes of the style: files that a reader can
// hold in the head, functions that fit on a screen, package comments, and no
// wall clock, init or leftover where there must be none.
func TestSourcesStayReadable(t *testing.T) {
	const fileMax, funcMax = 500, 70
	files, documented := 0, map[string]bool{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".data" || (strings.HasPrefix(d.Name(), ".") && path != ".")) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		files++
		dir := filepath.ToSlash(filepath.Dir(path))
		documented[dir] = documented[dir] || (f.Doc != nil && filepath.Base(path) == "doc.go")
		if n := fset.File(f.Pos()).LineCount(); n > fileMax {
			t.Errorf("%s: %d lines, limit %d", path, n, fileMax)
		}
		for _, complaint := range untidy(fset, f, dir, funcMax) {
			t.Error(complaint)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("saw %d files: the test looks at the wrong place", files)
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no doc.go with a package comment", dir)
		}
	}
}

// untidy returns what a file breaks of the style.
func untidy(fset *token.FileSet, f *ast.File, dir string, funcMax int) (complaints []string) {
	complain := func(at token.Pos, text string) {
		complaints = append(complaints, fset.Position(at).String()+": "+text)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if lines := fset.Position(n.End()).Line - fset.Position(n.Pos()).Line + 1; lines > funcMax {
				complain(n.Pos(), n.Name.Name+" is longer than a screen")
			}
			if n.Name.Name == "init" && n.Recv == nil {
				complain(n.Pos(), "init runs before anybody asked for it")
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			clock := ok && x.Name == "time" && (n.Sel.Name == "Now" || n.Sel.Name == "Since")
			if clock && (dir == "stream" || dir == "subs" || dir == "fsm" || dir == "doctor") {
				complain(n.Pos(), "the clock comes in with the command or the examination, not from time."+n.Sel.Name)
			}
		}
		return true
	})
	for _, group := range f.Comments {
		if text := group.Text(); strings.Contains(text, "TODO") || strings.Contains(text, "FIXME") {
			complain(group.Pos(), "a leftover; do it or file it")
		}
	}
	return complaints
}
