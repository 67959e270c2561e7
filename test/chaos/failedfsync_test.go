package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

const stopsWithin = 30 * time.Second

// failedCall says up to which call of a thread may fail, for each way to make
// data durable: the log, by fdatasync, is written all the time, new segments,
// directories and snapshots now and then.
var failedCall = map[string]int{"fsync": 6, "fdatasync": 40}

// failedIn finds, in what strace prints, which of a node's parts the failed call
// was for.
var failedIn = regexp.MustCompile(`<[^>]*/data/(copy|snapshots|log|stable\.db|node\.json)[^>]*>\).*INJECTED`)

// TestAFailedFsyncStopsTheNode fails one fsync of a node, and the power after
// it. A later fsync of the same file may say that all is well when it is not
// (the kernel has dropped the pages), so the process must end at the first, and
// nothing that waited for it may have been acknowledged.
func TestAFailedFsyncStopsTheNode(t *testing.T) {
	p := require(t)
	if err := harness.DiskRefusal(); err != nil {
		impossible(t, err)
	}
	if _, err := exec.LookPath("strace"); err != nil {
		impossible(t, err)
	}
	for _, call := range []string{"fsync", "fdatasync"} {
		for _, nodes := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s with %d", call, nodes), func(t *testing.T) {
				q := p
				rig := newPowerRig(t, q, nodes, diskMegabytes)
				for n := range p.pick(1, 5) {
					rig.stage.round(n, func(c *crew) { rig.failFsync(c, call) })
				}
			})
		}
	}
}

// failFsync lets one call of a node fail, some time after its start.
func (r *powerRig) failFsync(c *crew, call string) {
	s := r.stage
	s.t.Helper()
	n := s.any(1)[0]
	defer s.away(n)()
	when := 1 + s.plan.rand.IntN(failedCall[call])
	trace := filepath.Join(s.t.TempDir(), "trace")
	tracer, err := harness.StartProcess(n.LogPath, nil, "strace", "-f", "-y", "-qqq", "-e", "signal=none", "-e", "trace="+call,
		"-e", fmt.Sprintf("inject=%s:error=EIO:when=%d", call, when), "-o", trace, "-p", strconv.Itoa(n.Pid()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer tracer.Kill() // it ends with the node
	code := n.Exit(stopsWithin)
	calls, _ := os.ReadFile(trace) // only told
	where := "a directory"
	if found := failedIn.FindSubmatch(calls); found != nil {
		where = string(found[1])
	}
	s.fault("failed " + call + " in " + where)
	if code <= 0 || !strings.Contains(n.Log(), "input/output error") {
		s.t.Fatalf("%s %d of a thread of %s failed: it left with %d, and its log says:\n%s", call, when, n.ID, code, n.Log())
	}
	if len(s.cluster.Nodes) > 1 {
		c.waitAcks(acksBetween) // the others go on
	}
	r.powerOff([]*harness.Node{n})
	r.powerOn([]*harness.Node{n})
}
