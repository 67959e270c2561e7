package chaos

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mainstem/test/harness"
)

const (
	smallMegabytes = 512
	leftFree       = 256 << 10
	fullWithin     = 20 * time.Second
	pourBytes      = 256 << 10 // of one append that helps to fill
)

// TestAFullDiskLosesNothing takes the space of one node, and then of all, at one
// stroke and under load, and gives it back. Either the cluster refuses data while
// a node lives on a full disk; or the node ends, which it may when there is no
// time to refuse, and says so, and the others go on. With space again all are
// whole.
func TestAFullDiskLosesNothing(t *testing.T) {
	p := require(t)
	if err := harness.DiskRefusal(); err != nil {
		impossible(t, err)
	}
	rig := newPowerRig(t, p, 3, smallMegabytes)
	for n := range p.pick(1, 3) {
		rig.stage.round(n, func(c *crew) {
			rig.fill(c, 1)
			c.waitAcks(acksBetween)
			rig.fill(c, 3)
		})
	}
}

// fill takes all space from some nodes until something happens, frees it, and
// starts what has ended.
func (r *powerRig) fill(c *crew, nodes int) {
	s := r.stage
	s.t.Helper()
	s.fault(fmt.Sprintf("full disk of %d", nodes))
	victims := s.any(nodes)
	for _, n := range victims {
		if err := r.hog(n); err != nil {
			s.t.Fatal(err)
		}
	}
	answers, refused := r.pour(c, victims)
	s.t.Logf("disks of %d full: %s", nodes, answers)
	switch {
	case refused:
		s.fault("data refused for a full disk")
	case nodes == 1 && !victims[0].Running():
		c.waitAcks(acksBetween) // the others go on
	case nodes == 1:
		s.t.Fatalf("%s lives on a full disk and the cluster takes data: %s", victims[0].ID, answers)
	}
	for _, n := range victims {
		if err := os.Remove(r.hogPath(n)); err != nil {
			s.t.Fatal(err)
		}
	}
	// One may still end of what it met while the disk was full.
	harness.Eventually(s.t, healWithin, "ready with space again", func() error {
		var waiting error
		for _, n := range victims {
			if !n.Running() {
				s.restartFull(n)
			}
			if err := n.Ready(); err != nil {
				waiting = err
			}
		}
		return waiting
	})
}

// restartFull starts a node that has ended of its full disk, if it says so.
func (s *stage) restartFull(n *harness.Node) {
	s.t.Helper()
	if !strings.Contains(n.Log(), "no space left on device") {
		s.t.Fatalf("%s ended with a full disk and does not say so:\n%s", n.ID, n.Log())
	}
	s.fault("end of a node with a full disk")
	n.Start()
}

func (r *powerRig) hogPath(n *harness.Node) string { return r.disks[n].Mount + "/hog" }

// hog takes nearly all that is free on a node's disk.
func (r *powerRig) hog(n *harness.Node) error {
	f, err := os.Create(r.hogPath(n))
	if err != nil {
		return err
	}
	defer f.Close() // its length is all that matters
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &s); err != nil {
		return err
	}
	for size := int64(s.Bfree) * s.Bsize; size > leftFree; size -= 1 << 20 { // also what is reserved for root
		if err = unix.Fallocate(int(f.Fd()), 0, 0, size-leftFree); err == nil {
			return nil
		}
	}
	return fmt.Errorf("take the space of %s: %w", n.ID, err)
}

// pour appends large bodies until the full disks have shown an effect, and tells
// what the answers were and who has ended, and whether data was refused.
func (r *powerRig) pour(c *crew, victims []*harness.Node) (told string, refused bool) {
	answers, ended := map[string]int{}, 0
	name := fmt.Sprintf("pour-%d", c.history.now())
	body := strings.Repeat("z", pourBytes)
	h := harness.Headers("Content-Type", "application/octet-stream")
	for end, i := time.Now().Add(fullWithin), 0; time.Now().Before(end); i++ {
		client := c.nodes[i%len(c.nodes)].client
		a, err := client.Create(name, h, "")
		if err == nil && a.Status < 300 {
			a, err = client.Append(name, h, body)
		}
		result, _ := settle(a, err)
		answers[fmt.Sprintf("%s %d %s", result, a.Status, reason(a))]++
		ended = 0
		for _, n := range victims {
			if !n.Running() {
				ended++
			}
		}
		refused = a.Status == http.StatusInsufficientStorage
		if refused || ended == len(victims) || ended >= 2 && result != resultOK {
			break
		}
	}
	return fmt.Sprintf("%d of %d nodes ended; answers to appends: %s", ended, len(victims), counts(answers)), refused
}
