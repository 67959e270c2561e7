package storage

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// raftCopy applies each command as the next entry of the history.
type raftCopy struct {
	t *testing.T
	e *Engine
}

func (m raftCopy) Apply(*raft.Log) any {
	n := m.e.Globals().Applied + 1
	history(m.t, m.e, n, n)
	return n
}

func (m raftCopy) Snapshot() (raft.FSMSnapshot, error) { return m, nil }
func (m raftCopy) Release()                            {}

func (m raftCopy) Persist(sink raft.SnapshotSink) error {
	return sink.(*SnapshotSink).Adopt(m.e.Checkpoint)
}

func (m raftCopy) Restore(r io.ReadCloser) error {
	reader := r.(raft.ReadCloserWrapper).WrappedReadCloser().(*SnapshotReader)
	return errors.Join(m.e.Replace(reader.Checkpoint()), r.Close())
}

// raftNode is raft over all the stores of a data directory.
type raftNode struct {
	*raft.Raft
	copy      *Engine
	transport *raft.InmemTransport
	close     func()
}

func startRaft(t *testing.T, kind string, dir Dir, id raft.ServerAddress) *raftNode {
	t.Helper()
	e := must1[*Engine](t)(Open(Config{Dir: dir.Copy(), CacheBytes: 1 << 20, MemTableBytes: 1 << 20}))
	l := must1[*Log](t)(OpenLog(LogConfig{Dir: dir.Log(), Kind: kind, SegmentBytes: 4096}))
	stable := must1[*Stable](t)(OpenStable(StableConfig{Path: dir.Stable()}))
	snapshots := must1[*Snapshots](t)(OpenSnapshots(SnapshotsConfig{Dir: dir.Snapshots(), FS: vfs.Default}))
	_, transport := raft.NewInmemTransport(id)
	cfg := raft.DefaultConfig()
	cfg.LocalID, cfg.Logger = raft.ServerID(id), hclog.NewNullLogger()
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = time.Second, time.Second, time.Second // other work on the machine is no reason to lead no more
	cfg.TrailingLogs = 0
	cfg.NoSnapshotRestoreOnStart = true // the copy is always newer here
	n := &raftNode{copy: e, transport: transport}
	n.Raft = must1[*raft.Raft](t)(raft.NewRaft(cfg, raftCopy{t, e}, l, stable, snapshots, transport))
	n.close = func() {
		t.Helper()
		if err := errors.Join(n.Shutdown().Error(), l.Close(), stable.Close(), e.Close(), transport.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// raft itself over these stores: entries, a snapshot, a log cut behind it, a
// second node that gets the snapshot, and a restart of both.
func TestRaftRunsOnTheseStores(t *testing.T) {
	for _, kind := range []string{LogWAL, LogBoltDB} {
		t.Run(kind, func(t *testing.T) {
			dirs := []Dir{Dir(t.TempDir()), Dir(t.TempDir())}
			a := startRaft(t, kind, dirs[0], "a")
			b := startRaft(t, kind, dirs[1], "b")
			a.transport.Connect("b", b.transport)
			b.transport.Connect("a", a.transport)
			if err := a.BootstrapCluster(raft.Configuration{Servers: []raft.Server{{ID: "a", Address: "a"}}}).Error(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a leads", func() bool { return a.State() == raft.Leader })
			apply := func(n *raftNode, times int) {
				t.Helper()
				for i := range times {
					if err := n.Apply(fmt.Appendf(nil, "%d", i), time.Second).Error(); err != nil {
						t.Fatal(err)
					}
				}
			}
			apply(a, 100)
			if err := a.Raft.Snapshot().Error(); err != nil {
				t.Fatal(err)
			}
			apply(a, 20)
			if err := a.AddVoter("b", "b", 0, 10*time.Second).Error(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "b has all", func() bool { return b.copy.Globals().Applied == 120 })
			if got := wantHistory(t, b.copy); got != 120 {
				t.Fatalf("got entries to %d, want 120", got)
			}
			apply(a, 10)
			eventually(t, "b follows", func() bool { return b.copy.Globals().Applied == 130 })
			term := a.CurrentTerm()
			b.close()
			a.close()

			stable := must1[*Stable](t)(OpenStable(StableConfig{Path: dirs[1].Stable(), MustExist: true}))
			if got := must1[uint64](t)(stable.GetUint64([]byte("CurrentTerm"))); got != term {
				t.Fatalf("got term %d, want %d", got, term)
			}
			l := must1[*Log](t)(OpenLog(LogConfig{Dir: dirs[1].Log(), Kind: kind}))
			first, last, err := l.bounds()
			if err != nil || first <= 100 || last < 130 {
				t.Fatalf("got a log from %d to %d, %v", first, last, err)
			}
			e := must1[*Engine](t)(Open(Config{Dir: dirs[1].Copy()}))
			if got := wantHistory(t, e); got < 100 {
				t.Fatalf("got entries to %d after a restart, want 100 at least", got)
			}
			if err := errors.Join(stable.Close(), l.Close(), e.Close()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
