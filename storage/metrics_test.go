package storage

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestSnapshotsAreMeasured: those that are made, the one that is found at a start,
// and none that was dropped.
func TestSnapshotsAreMeasured(t *testing.T) {
	fs := vfs.NewMem()
	e := openTest(t, fs)
	history(t, e, 1, 3)
	m := NewMetrics(prometheus.NewRegistry())
	open := func(m *Metrics) *Snapshots {
		s, err := OpenSnapshots(SnapshotsConfig{Dir: "snapshots", FS: fs, Metrics: m})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open(m)
	if err := createSink(t, s, 1).Cancel(); err != nil {
		t.Fatal(err)
	}
	if got := testutil.ToFloat64(m.snapshotLatest); got != 0 {
		t.Fatalf("a snapshot that was dropped counts: %v", got)
	}
	take(t, s, e)
	size := testutil.ToFloat64(m.snapshotBytes)
	if list, err := s.List(); err != nil || size == 0 || size != float64(list[0].Size) {
		t.Fatalf("got size %v of %v, %v", size, list, err)
	}
	if testutil.ToFloat64(m.snapshotLatest) == 0 {
		t.Fatal("no time of the snapshot")
	}
	again := NewMetrics(prometheus.NewRegistry())
	open(again)
	if got := testutil.ToFloat64(again.snapshotBytes); got != size {
		t.Fatalf("after a start: got size %v, want %v", got, size)
	}
}

// TestFiguresOfTheCopyEndWithIt: a scrape may come while a node stops.
func TestFiguresOfTheCopyEndWithIt(t *testing.T) {
	e, err := Open(Config{Dir: t.TempDir(), FS: vfs.Default})
	if err != nil {
		t.Fatal(err)
	}
	c := NewCopyMetrics(e)
	if got := testutil.CollectAndCount(c); got != 8 {
		t.Errorf("got %d figures, want 8", got)
	}
	if got := testutil.CollectAndCount(c, "mainstem_copy_disk_bytes"); got != 1 {
		t.Errorf("got %d sizes", got)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got := testutil.CollectAndCount(c); got != 0 {
		t.Errorf("got %d figures of a closed copy", got)
	}
}
