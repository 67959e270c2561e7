package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	scrubFillStreams = 8
	scrubFillBody    = 256 << 10
	scrubFills       = 8 // bodies in each stream
	foundWithin      = 60 * time.Second
	flipAgain        = 3 * time.Second
	shownWithin      = 10 * time.Second
	flips            = 16 // bytes
)

// scrubArgs make a pass short, and tables of what was written, of which little is
// cached: a compaction would write anew, from memory, what has become bad.
var scrubArgs = []string{"--scrub-interval", "4s", "--scrub-bytes-per-second", "64MiB", "--mem-table-bytes", "1MiB", "--cache-bytes", "1MiB"}

// TestFlippedBytesAreFoundWhileANodeRuns damages a table of a follower that
// nobody reads, under load: the node is out of reads, says why, and comes back
// filled anew; the others go on, and nothing is lost.
func TestFlippedBytesAreFoundWhileANodeRuns(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3, scrubArgs...)
	fillForScrub(t, c)
	l := startLoad(t, c.URLs())
	l.waitAcks(acksPerRound)
	victim := c.Followers()[0]
	took := damage(t, victim)

	expectDamaged(t, c, victim)
	l.waitAcks(acksPerRound)
	for _, n := range c.Nodes {
		if n == victim {
			continue
		}
		if a, err := n.Client().Read("fill/0", "-1", nil); err != nil || a.Status != 200 {
			t.Fatalf("read at %s: %s, %v", n.ID, a, err)
		}
	}

	victim.Kill()
	victim.Start()
	if code := victim.Exit(refusedWithin); code != 1 || !strings.Contains(victim.Log(), "mainstem recover refill --data-dir "+victim.Dir) {
		t.Fatalf("a start with damaged data: exit code %d\n%s", code, victim.Log())
	}
	mustRecover(t, "refill", "--data-dir", victim.Dir, "--yes")
	victim.Start()
	victim.WaitReady()
	waitVoter(t, c.Nodes[0], victim.ID)
	l.waitAcks(acksPerRound)
	l.finish()
	l.check(c.Nodes)
	t.Logf("found %v after the flip, out of reads, filled anew; copies equal: %+v", took, c.WaitEqual())
}

// fillForScrub appends bytes that cannot be compressed, so that tables are large.
func fillForScrub(t *testing.T, c *harness.Cluster) {
	t.Helper()
	random, body := rand.NewChaCha8([32]byte{1}), make([]byte, scrubFillBody)
	client := c.Nodes[0].Client()
	for i := range scrubFillStreams {
		name := fmt.Sprintf("fill/%d", i)
		if a, err := client.Create(name, harness.Headers("Content-Type", "application/octet-stream"), ""); err != nil || a.Status != 201 {
			t.Fatalf("create %s: %s, %v", name, a, err)
		}
		for range scrubFills {
			random.Read(body)
			if a, err := client.Append(name, harness.Headers("Content-Type", "application/octet-stream"), string(body)); err != nil || a.Status != 204 {
				t.Fatalf("append to %s: %s, %v", name, a, err)
			}
		}
	}
}

// damage flips bytes in the largest table of a node's copy until it is noticed:
// a compaction may be done with the table already.
func damage(t *testing.T, n *harness.Node) (took time.Duration) {
	t.Helper()
	var begun time.Time
	harness.Eventually(t, foundWithin, "the damage is found", func() error {
		found := markerOf(n)
		if found != nil && begun.IsZero() {
			t.Fatalf("damage before there was any: %+v", found)
		}
		if found != nil {
			took = found.FoundAt.Sub(begun)
			if !strings.Contains(found.What, ".sst") {
				t.Fatalf("the damage does not name a table: %+v", found)
			}
			return nil
		}
		if begun.IsZero() || time.Since(begun) > flipAgain {
			if err := flipBytes(n); err != nil {
				return err
			}
			begun = time.Now()
		}
		return errors.New("not yet")
	})
	return took
}

func flipBytes(n *harness.Node) error {
	tables, err := filepath.Glob(filepath.Join(n.Dir, "copy", "copy-*", "*.sst"))
	if err != nil {
		return err
	}
	largest, size := "", int64(0)
	for _, path := range tables {
		if info, err := os.Stat(path); err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
	}
	if size < scrubFillBody {
		return fmt.Errorf("the largest of %d tables has %d bytes", len(tables), size)
	}
	f, err := os.OpenFile(largest, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(strings.Repeat("\xa5", flips)), size/2)
	return errors.Join(err, f.Close())
}

// marker is the file DAMAGED, as other programs know it.
type marker struct {
	FoundAt time.Time `json:"found_at"`
	What    string    `json:"what"`
}

func markerOf(n *harness.Node) *marker {
	data, err := os.ReadFile(filepath.Join(n.Dir, "DAMAGED"))
	if err != nil {
		return nil
	}
	var m marker
	if err := json.Unmarshal(data, &m); err != nil {
		return nil
	}
	return &m
}

func expectDamaged(t *testing.T, c *harness.Cluster, victim *harness.Node) {
	t.Helper()
	for _, path := range []string{"/readyz", harness.StreamPath("fill/0")} {
		harness.Eventually(t, shownWithin, "the damage is told", func() error { // the mark is synced first
			a, err := victim.Client().Get(path, nil)
			if err == nil && (a.Status != 503 || a.Header.Get("Retry-After") == "" || !strings.Contains(string(a.Body), "REPLICA_DAMAGED")) {
				err = fmt.Errorf("GET %s: %s", path, a)
			}
			return err
		})
	}
	if a, err := victim.Client().Append("fill/0", harness.Headers("Content-Type", "application/octet-stream"), "!"); err != nil || a.Status != 204 {
		t.Fatalf("append by way of the damaged node: %s, %v", a, err)
	}
	for name, least := range map[string]float64{"mainstem_replica_damaged": 1, "mainstem_corruption_total": 1} {
		if got, err := metric(victim, name); err != nil || got < least {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
	}
	for _, n := range c.Nodes {
		if got, err := metric(n, "mainstem_replica_damaged"); n != victim && (err != nil || got != 0) {
			t.Fatalf("mainstem_replica_damaged at %s: %v, %v", n.ID, got, err)
		}
	}
	if c.Leader() == victim {
		t.Fatal("the damaged node leads")
	}
	harness.Eventually(t, shownWithin, "mainstem cluster status shows the damage", func() error {
		out, err := tryOperate(t, c.Leader(), "status")
		if err == nil && !strings.Contains(out, "damaged") {
			err = errors.New(out)
		}
		return err
	})
	if said := victim.Log(); !strings.Contains(said, "this node's data is damaged") {
		t.Fatalf("the log does not say it:\n%s", said)
	}
}
