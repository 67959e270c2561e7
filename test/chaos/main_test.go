package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The environment of a run. Without envScale nothing is broken.
const (
	envScale = "MAINSTEM_CHAOS"      // "slice" for some three minutes, "all" for some twenty-five
	envSeed  = "MAINSTEM_CHAOS_SEED" // a number; random when unset
	envKeep  = "MAINSTEM_CHAOS_DIR"  // where the history of a failed run goes; the temporary directory when unset
	envCheck = "MAINSTEM_HISTORY"    // a kept history to be judged again
)

// plan is how much a test does, and from which seed.
type plan struct {
	all  bool
	seed uint64
	rand *rand.Rand // of the test's own goroutine
}

// seed is one for the whole run; each test draws from its own source.
var seed = sync.OnceValue(func() uint64 {
	if text := os.Getenv(envSeed); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			panic(fmt.Sprintf("%s: %v", envSeed, err))
		}
		return n
	}
	return rand.Uint64N(1_000_000)
})

// require skips the test unless faults were asked for.
func require(t *testing.T) plan {
	t.Helper()
	p := plan{seed: seed()}
	switch scale := os.Getenv(envScale); scale {
	case "":
		t.Skipf("part of the fault battery; run make chaos (%s is not set)", envScale)
	case "slice", "all":
		p.all = scale == "all"
	default:
		t.Fatalf("%s is %q, want slice or all", envScale, scale)
	}
	stream := uint64(0)
	for _, b := range []byte(t.Name()) {
		stream = stream*31 + uint64(b)
	}
	p.rand = rand.New(rand.NewPCG(p.seed, stream))
	return p
}

// pick returns the size of something in a slice and in the whole.
func (p plan) pick(slice, all int) int {
	if p.all {
		return all
	}
	return slice
}

// between draws a duration.
func (p plan) between(low, high time.Duration) time.Duration {
	return low + time.Duration(p.rand.Int64N(int64(high-low)+1))
}

// total is what the whole run did, for the last lines of its output.
var total = struct {
	sync.Mutex
	verdict verdict
	faults  map[string]int
	longest time.Duration
	skipped []string
}{faults: map[string]int{}}

// impossible skips a test whose fault cannot be made here. It counts as skipped
// in the summary, never as passed.
func impossible(t *testing.T, why error) {
	t.Helper()
	total.Lock()
	total.skipped = append(total.skipped, fmt.Sprintf("%s: %v", t.Name(), why))
	total.Unlock()
	t.Skipf("SKIPPED, the fault cannot be made here: %v", why)
}

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv(envScale) != "" {
		tellTotal(code)
	}
	os.Exit(code)
}

func tellTotal(code int) {
	total.Lock()
	defer total.Unlock()
	result := "PASS"
	if code != 0 {
		result = "FAIL"
	}
	fmt.Printf("chaos: %s, seed %d: %s\n", result, seed(), total.verdict)
	fmt.Printf("chaos: faults: %s; longest unavailability %v\n", counts(total.faults), total.longest.Round(time.Millisecond))
	tellRow(total.verdict, total.faults, total.longest)
	fmt.Printf("chaos: skipped: %d\n", len(total.skipped))
	for _, s := range total.skipped {
		fmt.Printf("chaos:   %s\n", s)
	}
}

// groups are the columns of the published table, by how the kinds of faults begin.
var groups = []struct{ column, begins string }{
	{"kills", "kill"}, {"freezes", "freeze"}, {"partitions", "partition"}, {"power cuts of 1", "power cut of 1"}, {"of 2", "power cut of 2"},
	{"of 3", "power cut of 3"}, {"damaged files", "damage: "}, {"old disks", "old disk"}, {"failed fsyncs", "failed"}, {"full disks", "full disk"},
}

// tellRow prints the run as one line of the table in docs/reliability.md, under
// its head.
func tellRow(v verdict, faults map[string]int, longest time.Duration) {
	head := []string{"seed", "operations", "acknowledged"}
	row := []any{seed(), v.operations, v.acked}
	rest := 0
	for _, n := range faults {
		rest += n
	}
	for _, g := range groups {
		sum := 0
		for kind, n := range faults {
			if strings.HasPrefix(kind, g.begins) {
				sum += n
			}
		}
		head, row, rest = append(head, g.column), append(row, sum), rest-sum
	}
	head = append(head, "other faults", "lost", "doubled", "reordered", "tails with a gap", "wrong otherwise", "registers undecided", "longest unavailability")
	row = append(row, rest, v.wrong[faultLost], v.wrong[faultDoubled], v.wrong[faultReordered], v.wrong[faultGap], v.others(),
		fmt.Sprintf("%d of %d", v.undecided, v.registers), longest.Round(time.Millisecond))
	fmt.Printf("chaos: | %s |\nchaos: |%s\nchaos: |", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, cell := range row {
		fmt.Printf(" %v |", cell)
	}
	fmt.Println()
}

// counts prints a tally in the order of its names.
func counts(m map[string]int) string {
	var parts []string
	for name, n := range m {
		parts = append(parts, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
