package cluster_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/cluster"
	"mainstem/cluster/clustertest"
	"mainstem/stream"
)

// disks are those of the nodes of a test.
type disks struct {
	mu   sync.Mutex
	full map[string]bool
}

// options gives each node its disk.
func (d *disks) options() clustertest.Options {
	o := options()
	o.Config = func(id string, cfg *cluster.Config) {
		cfg.Disk = func() cluster.Disk {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.full[id] {
				return cluster.Disk{Level: cluster.DiskFull, FreeBytes: 7, TotalBytes: 1000}
			}
			return cluster.Disk{Level: cluster.DiskOK, FreeBytes: 700, TotalBytes: 1000}
		}
	}
	return o
}

func (d *disks) set(m *clustertest.Member, full bool) {
	d.mu.Lock()
	if d.full == nil {
		d.full = map[string]bool{}
	}
	d.full[m.ID] = full
	d.mu.Unlock()
	m.DiskChanged()
}

func wantRefused(t *testing.T, m *clustertest.Member, full ...string) {
	t.Helper()
	_, err := m.Submit(t.Context(), command("x"))
	var no *cluster.NoSpaceError
	if !errors.As(err, &no) || !slices.Equal(no.Nodes, full) {
		t.Fatalf("an append through %s: got %v, want it refused for %v", m.ID, err, full)
	}
	var unknown interface{ OutcomeUnknown() bool }
	if errors.As(err, &unknown) {
		t.Fatalf("an append through %s: got %v, which says that it may have been written", m.ID, err)
	}
}

// small are the commands that a full cluster takes.
var small = map[string]stream.Command{"delete": stream.Delete{Name: "s"}, "touch": stream.Touch{Name: "s"}, "expire": stream.Expire{Name: "s"}}

func TestAFullVoterStopsDataAndNothingElse(t *testing.T) {
	for name, choose := range map[string]func(*clustertest.Cluster) *clustertest.Member{
		"the leader": func(c *clustertest.Cluster) *clustertest.Member { return c.WaitLeader() },
		"a follower": (*clustertest.Cluster).Follower,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var d disks
				c := clustertest.Of(t, 3, d.options())
				victim := choose(c)
				submit(t, victim, "before")
				d.set(victim, true)
				time.Sleep(100 * time.Millisecond) // not the second between two exchanges
				for _, id := range c.IDs() {
					wantRefused(t, c.Node(id), victim.ID)
					for kind, cmd := range small {
						if _, err := c.Node(id).Submit(t.Context(), cmd); err != nil {
							t.Fatalf("%s through %s: %v", kind, id, err)
						}
					}
					fence(t, c.Node(id))
					st := c.Node(id).Status(t.Context())
					if !slices.Equal(st.OutOfSpace, []string{victim.ID}) {
						t.Fatalf("status of %s: got %v out of space", id, st.OutOfSpace)
					}
					for _, m := range st.Members {
						if full := m.Disk.Level == cluster.DiskFull; full != (m.NodeID == victim.ID) || full != (m.Disk.FreeBytes == 7) {
							t.Fatalf("status of %s: got %+v of %s", id, m.Disk, m.NodeID)
						}
					}
				}
				d.set(victim, false)
				time.Sleep(100 * time.Millisecond)
				for _, id := range c.IDs() {
					submit(t, c.Node(id), "after through "+id)
				}
				if n := slices.Index(logOf(victim), "x"); n >= 0 {
					t.Fatal("a refused command is in the log")
				}
			})
		})
	}
}

// The leader reaches a member that the others do not: they go by its word.
func TestTheLeaderKnowsWhoIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disks
		c := clustertest.Of(t, 3, d.options())
		leader := c.WaitLeader()
		full := c.Follower()
		var other *clustertest.Member
		for _, id := range c.IDs() {
			if id != leader.ID && id != full.ID {
				other = c.Node(id)
			}
		}
		c.Net.Cut(other.ID, full.ID)
		time.Sleep(10 * time.Second)
		d.set(full, true)
		time.Sleep(100 * time.Millisecond)
		wantRefused(t, other, full.ID)
		other.ForgetSpace()
		wantRefused(t, other, full.ID) // by the leader: this node does not know better
		leader.ForgetSpace()
		other.ForgetSpace()
		submit(t, other, "nobody knows")
	})
}

// A delete that travels with data which is refused is not refused with it.
func TestWhatTravelsWithRefusedDataIsCarriedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disks
		c := clustertest.Of(t, 3, d.options())
		m, leader := c.Follower(), c.WaitLeader()
		d.set(leader, true)
		time.Sleep(100 * time.Millisecond)
		m.ForgetSpace()
		var sent sync.WaitGroup
		for i := range 100 {
			sent.Go(func() {
				if i%2 != 0 {
					if _, err := m.Submit(t.Context(), stream.Delete{Name: "s"}); err != nil {
						t.Errorf("a delete: %v", err)
					}
					return
				}
				_, err := m.Submit(t.Context(), command("x"))
				if no := new(cluster.NoSpaceError); !errors.As(err, &no) {
					t.Errorf("an append: %v", err)
				}
			})
		}
		sent.Wait()
		fence(t, m)
		if got := len(logOf(m)); got != 50 {
			t.Fatalf("got %d commands in the log, want the 50 deletes", got)
		}
	})
}

// A member that is out of reach gets nothing that could fill its disk.
func TestAFullVoterOutOfReachStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disks
		c := clustertest.Of(t, 3, d.options())
		full := c.Follower()
		d.set(full, true)
		time.Sleep(100 * time.Millisecond)
		c.Net.Isolate(full.ID, c.IDs()...)
		time.Sleep(10 * time.Second)
		for _, id := range c.IDs() {
			if id != full.ID {
				submit(t, c.Node(id), "while it is away")
			}
		}
		c.Net.Heal()
		c.WaitReady(full.ID)
		time.Sleep(2 * time.Second)
		wantRefused(t, c.WaitLeader(), full.ID)
	})
}

func TestAFullLearnerStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disks
		o := d.options()
		disk := o.Config
		o.Config = func(id string, cfg *cluster.Config) {
			disk(id, cfg)
			cfg.StabilizationTime = time.Hour
		}
		c := clustertest.Of(t, 1, o)
		learner := c.Start("n2", 1, "n1")
		c.WaitReady("n2")
		d.set(learner, true)
		time.Sleep(3 * time.Second)
		submit(t, c.Node("n1"), "by the only voter")
		if st := c.Node("n1").Status(t.Context()); len(st.OutOfSpace) != 0 || st.Members[1].Disk.Level != cluster.DiskFull {
			t.Fatalf("got %+v", st)
		}
	})
}

// A member that is full keeps as little log as it can and takes snapshots.
func TestAFullDiskIsReclaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d disks
		stores := clustertest.NewStores()
		o := d.options()
		o.Stores = func(string) cluster.Stores { return stores }
		c := clustertest.Of(t, 1, o)
		m := c.WaitLeader()
		for range 1000 {
			submit(t, m, "data")
		}
		time.Sleep(time.Minute)
		if list, err := stores.Snapshots.List(); err != nil || len(list) != 0 {
			t.Fatalf("got snapshots %v, %v before the disk is full", list, err)
		}
		d.set(m, true)
		time.Sleep(3 * time.Second)
		list, err := stores.Snapshots.List()
		if err != nil || len(list) == 0 || list[0].Index < 1000 {
			t.Fatalf("got snapshots %v, %v", list, err)
		}
		if first, _ := stores.Log.FirstIndex(); first < 200 {
			t.Fatalf("the log begins at %d still", first)
		}
		if _, err := m.Submit(t.Context(), stream.Delete{Name: "s"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Second)
		if next, err := stores.Snapshots.List(); err != nil || next[0].Index <= list[0].Index {
			t.Fatalf("got snapshots %v, %v after a delete", next, err)
		}
	})
}
