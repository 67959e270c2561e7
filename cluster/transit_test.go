package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// filled is a log of entries of a kilobyte, as raft sees it.
func filled(t *testing.T, entries int, max uint64, stored func(string) (uint64, time.Time)) (fillingLog, *raft.InmemStore) {
	t.Helper()
	store := raft.NewInmemStore()
	typed := newTypedLog(store)
	l := fillingLog{typed, newFills(typed, max, stored), raft.NewInmemSnapshotStore()}
	grow(t, l, entries)
	return l, store
}

func grow(t *testing.T, l fillingLog, entries int) {
	t.Helper()
	for range entries {
		if err := l.StoreLog(&raft.Log{Index: l.newestIndex() + 1, Data: make([]byte, 1<<10)}); err != nil {
			t.Fatal(err)
		}
	}
}

// A log that is cut while a snapshot travels would leave its receiver with a gap,
// and in need of the next snapshot.
func TestLogIsKeptForAMemberThatIsFilled(t *testing.T) {
	const entries, snapshot, cutTo = 1000, 300, 900
	never := func(string) (uint64, time.Time) { return 0, time.Time{} }
	tests := map[string]struct {
		stored    func(string) (uint64, time.Time)
		then      func(t *testing.T, l fillingLog)
		wantFirst uint64
	}{
		"nobody is filled":    {never, func(_ *testing.T, l fillingLog) { l.fills.end("x") }, cutTo + 1},
		"it has the snapshot": {never, func(*testing.T, fillingLog) {}, snapshot},
		"it has some more": {func(string) (uint64, time.Time) { return 500, time.Now().Add(time.Second) },
			func(*testing.T, fillingLog) {}, 500},
		"it has nearly all": {func(string) (uint64, time.Time) { return entries - 1, time.Now().Add(time.Second) },
			func(*testing.T, fillingLog) {}, cutTo + 1},
		"what it said was of its old log": {func(string) (uint64, time.Time) { return entries - 1, time.Now().Add(-time.Hour) },
			func(*testing.T, fillingLog) {}, snapshot},
		"the log grew too long": {never, func(t *testing.T, l fillingLog) { grow(t, l, 300) }, cutTo + 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, store := filled(t, entries, 200<<10, test.stored)
			l.fills.begin("x", snapshot)
			test.then(t, l)
			if err := l.DeleteRange(1, cutTo); err != nil {
				t.Fatal(err)
			}
			if first, _ := store.FirstIndex(); first != test.wantFirst {
				t.Fatalf("the log begins at %d, want %d", first, test.wantFirst)
			}
		})
	}
}

// A cut that comes before anybody is filled must leave what the first of them
// will need: of the snapshot's own index raft looks up the term.
func TestLogKeepsTheEntryOfTheNewestSnapshot(t *testing.T) {
	const snapshot = 900
	never := func(string) (uint64, time.Time) { return 0, time.Time{} }
	l, store := filled(t, 1000, 1<<30, never)
	sink, err := l.snapshots.Create(raft.SnapshotVersionMax, snapshot, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.DeleteRange(1, snapshot); err != nil {
		t.Fatal(err)
	}
	if first, _ := store.FirstIndex(); first != snapshot {
		t.Fatalf("the log begins at %d, want %d", first, snapshot)
	}
}

// A log that begins behind the snapshot that a follower was sent: raft asks for
// the term of the snapshot's entry there when a leader repeats what came next.
func TestLogKnowsTheTermOfTheNewestSnapshotsEntry(t *testing.T) {
	const snapshot = 56
	never := func(string) (uint64, time.Time) { return 0, time.Time{} }
	l, _ := filled(t, 60, 1<<30, never)
	if err := l.typedLog.DeleteRange(1, snapshot); err != nil {
		t.Fatal(err)
	}
	var got raft.Log
	if err := l.GetLog(snapshot, &got); !errors.Is(err, raft.ErrLogNotFound) {
		t.Fatalf("without a snapshot: got %+v, %v", got, err)
	}
	sink, err := l.snapshots.Create(raft.SnapshotVersionMax, snapshot, 3, raft.Configuration{}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.GetLog(snapshot, &got); err != nil || got.Index != snapshot || got.Term != 3 {
		t.Fatalf("at the snapshot: got %+v, %v, want term 3", got, err)
	}
	for _, index := range []uint64{snapshot - 1, 61} {
		if err := l.GetLog(index, &got); !errors.Is(err, raft.ErrLogNotFound) {
			t.Fatalf("entry %d: got %+v, %v", index, got, err)
		}
	}
}

// Only the front is kept: a suffix that another leader overrules must go, and so
// must all of a log that a snapshot replaces.
func TestLogForAFilledMemberIsStillCorrected(t *testing.T) {
	never := func(string) (uint64, time.Time) { return 0, time.Time{} }
	for name, cut := range map[string][2]uint64{"suffix": {800, 1000}, "all": {1, 1000}} {
		l, store := filled(t, 1000, 1<<30, never)
		l.fills.begin("x", 300)
		if err := l.DeleteRange(cut[0], cut[1]); err != nil {
			t.Fatal(err)
		}
		var got raft.Log
		if err := store.GetLog(900, &got); !errors.Is(err, raft.ErrLogNotFound) {
			t.Errorf("%s: entry 900 is there after it was deleted: %v", name, err)
		}
	}
}

// silent is a snapshot sink that counts.
type silent struct {
	raft.SnapshotSink
	slow time.Duration
}

func (s silent) Write(p []byte) (int, error) { time.Sleep(s.slow); return len(p), nil }
func (silent) Close() error                  { return nil }

// raft reads a snapshot without a deadline and does nothing else meanwhile.
func TestSilentSenderIsHungUpOn(t *testing.T) {
	tests := map[string]struct {
		pause, write time.Duration
		want         bool
	}{
		"steady":            {pause: silenceMax / 2},
		"slow disk":         {pause: time.Second, write: 3 * silenceMax},
		"silent in between": {pause: silenceMax + time.Second, want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hungUp := false
				k := &watchedSink{SnapshotSink: silent{slow: test.write}, silence: time.AfterFunc(silenceMax, func() { hungUp = true })}
				for range 4 {
					time.Sleep(test.pause)
					synctest.Wait()
					if _, err := k.Write([]byte("part")); err != nil {
						t.Fatal(err)
					}
				}
				if err := k.Close(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * silenceMax) // nothing may come after the end
				synctest.Wait()
				if hungUp != test.want {
					t.Fatalf("hung up: %v, want %v", hungUp, test.want)
				}
			})
		})
	}
}

// A receiver that takes nothing must not hold its sender for the hours that raft
// allows for a large snapshot.
func TestSenderGivesUpOnASilentReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer there.Close()
		c := &patientConn{Conn: here}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := c.Write([]byte("part")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("got %v, want a deadline", err)
		}
		if took := time.Since(began); took != silenceMax {
			t.Fatalf("gave up after %v, want %v", took, silenceMax)
		}
	})
}

// A receiver that is slow but alive is waited for as long as raft allows.
func TestSenderWaitsForASlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		c := &patientConn{Conn: here}
		if err := c.SetDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		const parts = 20
		read := make(chan error, 1)
		go func() {
			for range parts {
				time.Sleep(silenceMax - time.Second)
				if _, err := io.ReadFull(there, make([]byte, 4)); err != nil {
					read <- err
					return
				}
			}
			read <- nil
		}()
		for i := range parts {
			if _, err := c.Write([]byte("part")); err != nil {
				t.Fatal(fmt.Errorf("part %d: %w", i, err))
			}
		}
		if err := <-read; err != nil {
			t.Fatal(err)
		}
		c.Close()
		there.Close()
	})
}

func TestLongestKeepsTheLongest(t *testing.T) {
	var l longest
	for _, d := range []time.Duration{3, 250, 7} {
		l.note(d * time.Millisecond)
	}
	if got := l.seconds(); got != 0.25 {
		t.Fatalf("got %v, want 0.25", got)
	}
}
