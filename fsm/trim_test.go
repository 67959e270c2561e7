package fsm_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/fsm"
	"mainstem/stream"
)

func offsetAt(incarnation, pos uint64) *stream.Offset {
	return &stream.Offset{Incarnation: incarnation, Pos: pos}
}

// trimmed reads at an offset and returns the horizon that the refusal names.
func (n *node) trimmed(name stream.Name, o stream.Offset) stream.Offset {
	n.t.Helper()
	_, err := n.Read(name, stream.FromOffset(o), 1<<20)
	var no *stream.Rejection
	if !errors.As(err, &no) || no.Code != stream.Trimmed {
		n.t.Fatalf("read %q at %v: %v, want it to be refused as trimmed", name, o, err)
	}
	return no.Next
}

func TestWhatIsTrimmedIsGoneFromReadersAndFromDisk(t *testing.T) {
	n := newNode(t)
	n.must(create("s", ""))
	look, leave := n.Follow("s") // so that the newest data is in memory too
	defer leave()
	for range 200 {
		n.must(add("s", strings.Repeat("x", 100)))
	}
	before := n.checksum()
	out := n.must(stream.Trim{Name: "s", To: offsetAt(1, 15_000)})
	if out.Horizon != (stream.Offset{Incarnation: 1, Pos: 15_000}) || out.Next.Pos != 20_000 {
		t.Fatalf("the answer is %+v", out)
	}
	after := n.checksum()
	if freed := before.Bytes - after.Bytes; freed < 15_000 || before.Keys-after.Keys != 150 {
		t.Errorf("%d bytes and %d keys are freed, want 150 appends of 100", freed, before.Keys-after.Keys)
	}
	for _, pos := range []uint64{0, 100, 14_900} {
		if h := n.trimmed("s", stream.Offset{Incarnation: 1, Pos: pos}); h.Pos != 15_000 {
			t.Errorf("at %d the horizon is %v", pos, h)
		}
	}
	text, chunk := n.read("s", stream.From{}, 1<<20)
	if len(text) != 5000 || chunk.From.Pos != 15_000 || !chunk.Trimmed || chunk.Start.Pos != 15_000 {
		t.Errorf("from the start: %d bytes from %v, %+v", len(text), chunk.From, chunk.Info)
	}
	if text, _ := n.read("s", stream.FromOffset(chunk.From), 1<<20); len(text) != 5000 {
		t.Errorf("from the horizon: %d bytes", len(text))
	}
	if _, _, err := look(stream.FromOffset(*offsetAt(1, 14_900)), 1); err == nil {
		t.Error("what is in memory is read though it is trimmed")
	}
	if n.must(stream.Trim{Name: "s", To: offsetAt(1, 100)}).Horizon.Pos != 15_000 {
		t.Error("the horizon went back")
	}
	n.must(stream.Trim{Name: "s", To: offsetAt(1, 20_000)})
	if text, chunk := n.read("s", stream.From{}, 1<<20); text != "" || !chunk.UpToDate() {
		t.Errorf("all is trimmed, and there is %q", text)
	}
	n.must(add("s", "more"))
	if text, _ := n.read("s", stream.From{}, 1<<20); text != "more" {
		t.Errorf("after it was trimmed empty it holds %q", text)
	}
}

// What a fork inherits stays, however its source is trimmed, and goes with the
// last fork that can reach it.
func TestTrimNeverTouchesWhatAForkInherits(t *testing.T) {
	n := newNode(t)
	n.must(create("s", ""))
	for range 100 {
		n.must(add("s", strings.Repeat("x", 100)))
	}
	n.must(stream.Trim{Name: "s", To: offsetAt(1, 1000)})
	n.must(forkOf("f", "s", offsetAt(1, 5000), 0))
	n.must(forkOf("g", "f", offsetAt(1, 3000), 0))
	if r := n.apply(forkOf("h", "s", offsetAt(1, 500), 0))[0]; r.Rejection == nil || r.Rejection.Code != stream.Trimmed {
		t.Fatalf("a fork from what is gone: %+v", r)
	}
	n.must(stream.Trim{Name: "s", To: offsetAt(1, 9000)})
	n.must(stream.Trim{Name: "f", To: offsetAt(1, 4000)}) // of what it inherits: only its own horizon moves
	for name, want := range map[stream.Name]int{"s": 1000, "f": 1000, "g": 2000} {
		if _, all := n.readAll(name, 777); len(all) != want {
			t.Errorf("%s holds %d bytes, want %d", name, len(all), want)
		}
	}
	bytes := n.checksum().Bytes
	n.must(stream.Delete{Name: "f"})
	if _, all := n.readAll("g", 1<<20); len(all) != 2000 {
		t.Errorf("after its source was deleted g holds %d bytes", len(all))
	}
	n.must(stream.Delete{Name: "g"})
	due, err := n.engine.TrimsDue(n.now, 10)
	if err != nil || len(due) != 1 || due[0].Name != "s" {
		t.Fatalf("to be trimmed now: %v, %v", due, err)
	}
	n.must(stream.Trim{Name: "s"})
	if freed := bytes - n.checksum().Bytes; freed < 4000 {
		t.Errorf("without forks %d bytes are freed, want the 4000 that were kept for them", freed)
	}
	if due, err := n.engine.TrimsDue(1<<50, 10); err != nil || len(due) != 0 {
		t.Errorf("the index still holds %v, %v", due, err)
	}
}

func TestSweepKeepsWhatRetentionAsksFor(t *testing.T) {
	sweeping(t, func(t *testing.T, l *leader) {
		byAge, bySize := create("age", ""), create("size", "")
		byAge.Retention, bySize.Retention = stream.Retention{Age: 10}, stream.Retention{Bytes: 25}
		l.put(byAge)
		l.put(bySize)
		for i := range 20 {
			for _, name := range []stream.Name{"age", "size"} {
				l.put(add(name, fmt.Sprintf("%010d", i)))
			}
			time.Sleep(time.Second)
		}
		time.Sleep(2 * sweepEvery)
		synctest.Wait()
		if _, all := l.readAll("size", 1<<20); all != "000000001700000000180000000019" { // at least 25 bytes
			t.Errorf("by size: %q", all)
		}
		if _, all := l.readAll("age", 1<<20); len(all) < 90 || len(all) > 100 || !strings.HasSuffix(all, "0000000019") {
			t.Errorf("by age: %q", all)
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if _, all := l.readAll("age", 1<<20); all != "" {
			t.Errorf("after its age: %q", all)
		}
		asked := l.count()
		time.Sleep(time.Hour)
		synctest.Wait()
		if l.count() != asked {
			t.Errorf("asked %d times about what has nothing to be trimmed", l.count()-asked)
		}
	})
}

// One large append is kept whole, and does not keep the sweeper busy.
func TestRetentionEndsBetweenAppends(t *testing.T) {
	sweeping(t, func(t *testing.T, l *leader) {
		c := create("s", strings.Repeat("a", 1000))
		c.Retention.Bytes = 10
		l.put(c)
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, all := l.readAll("s", 1<<20); len(all) != 1000 || l.count() != 1 {
			t.Fatalf("it holds %d bytes, and was looked at %d times", len(all), l.count())
		}
		l.put(add("s", strings.Repeat("b", 9)))
		time.Sleep(time.Second)
		synctest.Wait()
		if _, all := l.readAll("s", 1<<20); len(all) != 1009 {
			t.Fatalf("with less than 10 bytes after it, it holds %d", len(all))
		}
		l.put(add("s", "c"))
		time.Sleep(time.Second)
		synctest.Wait()
		if _, all := l.readAll("s", 1<<20); all != "bbbbbbbbbc" {
			t.Fatalf("it holds %.20q", all)
		}
	})
}

// A node that comes back knows what is to be trimmed, and when.
func TestRetentionOutlivesARestart(t *testing.T) {
	fs := vfs.NewMem()
	t.Run("before", func(t *testing.T) {
		n := openNode(t, fs, fsm.Config{})
		c := create("s", "old")
		c.Retention.Age = 10
		n.must(c)
		if err := n.engine.Flush(); err != nil {
			t.Fatal(err)
		}
	})
	n := openNode(t, fs, fsm.Config{})
	if due, _ := n.engine.TrimsDue(epoch+9_999, 10); len(due) != 0 {
		t.Fatalf("due too early: %v", due)
	}
	if due, _ := n.engine.TrimsDue(epoch+10_000, 10); len(due) != 1 {
		t.Fatalf("due: %v", due)
	}
	n.now += 10_000
	n.must(stream.Trim{Name: "s"})
	if due, _ := n.engine.TrimsDue(1<<50, 10); len(due) != 0 {
		t.Fatalf("still due: %v", due)
	}
	if _, all := n.readAll("s", 10); all != "" {
		t.Fatalf("it holds %q", all)
	}
}

// Readers that are overtaken by the horizon are told so; nothing is taken for damage.
func TestReadersBesideATrimMeetNoDamage(t *testing.T) {
	n := openNode(t, vfs.NewMem(), fsm.Config{Damaged: func(err error) { t.Errorf("damage: %v", err) }, TailBytes: -1, ChunkBytes: -1})
	n.must(create("s", ""))
	const appends, size = 3000, 16
	for range appends {
		n.must(add("s", strings.Repeat("x", size)))
	}
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			from := stream.From{}
			for {
				select {
				case <-done:
					return
				default:
				}
				chunk, err := n.Read("s", from, 40*size)
				var no *stream.Rejection
				switch {
				case errors.As(err, &no) && no.Code == stream.Trimmed:
					from = stream.FromOffset(no.Next)
				case err != nil:
					t.Errorf("read: %v", err)
					return
				case chunk.UpToDate():
					from = stream.From{}
				default:
					from = stream.FromOffset(chunk.Next)
				}
			}
		})
	}
	for i := uint64(1); i <= appends; i++ {
		n.must(stream.Trim{Name: "s", To: offsetAt(1, i*size)})
		n.must(add("s", strings.Repeat("y", size)))
	}
	close(done)
	readers.Wait()
}
