//go:build mutants

package mutants

import (
	"fmt"
	"os"
	"strings"
)

// row is one line of the table: a mutant, one that caught it, and how long that
// took.
type row struct {
	mutant mutant
	by     catcher
	took   string
}

// The table stands between these lines.
const (
	tableBegins = "<!-- mutants: written by make mutants -->\n"
	tableEnds   = "<!-- end of mutants -->\n"
)

// publish writes the table into a page.
func publish(page string, rows []row) error {
	b, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(b), tableBegins)
	_, after, closed := strings.Cut(rest, tableEnds)
	if !ok || !closed {
		return fmt.Errorf("%s has no lines %q and %q for the table to stand between", page, tableBegins, tableEnds)
	}
	return os.WriteFile(page, []byte(before+tableBegins+table(rows)+tableEnds+after), 0o644)
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| # | mutant | what it breaks | caught by | in |\n|---|---|---|---|---|\n")
	number, last := 0, ""
	for _, r := range rows {
		if r.mutant.name == last {
			fmt.Fprintf(&b, "| | | | %s | %s |\n", r.by, r.took)
			continue
		}
		number, last = number+1, r.mutant.name
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n", number, r.mutant.name, r.mutant.breaks, r.by, r.took)
	}
	return b.String()
}
