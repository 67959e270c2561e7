package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/storage"
	"mainstem/stream"
)

// world is a node's copy that grows, and a bucket.
type world struct {
	t       *testing.T
	engine  *storage.Engine
	dir     string
	index   uint64
	states  map[stream.Name]*stream.State
	content map[stream.Name]string
	cluster string
	asked   []Ask
	broken  int // bytes after which the node's answer breaks off; 0 for never
}

func newWorld(t *testing.T) *world {
	e, err := storage.Open(storage.Config{Dir: "copy", FS: vfs.NewMem(), CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return &world{t: t, engine: e, dir: t.TempDir(), cluster: "c1", states: map[stream.Name]*stream.State{}, content: map[stream.Name]string{}}
}

// append adds to a stream, which it makes when there is none.
func (w *world) append(name stream.Name, parts ...string) {
	w.t.Helper()
	s := w.states[name]
	if s == nil {
		s = &stream.State{Incarnation: uint64(len(w.states) + 1), ContentType: "text/plain"}
		w.states[name] = s
	}
	w.commit(func(b *storage.Batch) {
		var appends []stream.StoredAppend
		for _, p := range parts {
			appends = append(appends, stream.StoredAppend{Data: []byte(p), At: stream.Time(w.index)})
		}
		all := strings.Join(parts, "")
		if all != "" {
			b.PutRecord(s.Incarnation, s.Pos, stream.AppendRecordHeader(nil, appends), []byte(all))
		}
		s.Pos += uint64(len(all))
		w.content[name] += all
		b.PutStream(name, stream.AppendState(nil, s))
	})
}

func (w *world) drop(name stream.Name) {
	w.commit(func(b *storage.Batch) {
		b.DeleteStream(name)
		if err := b.DropIncarnation(w.states[name].Incarnation); err != nil {
			w.t.Fatal(err)
		}
	})
	delete(w.content, name)
}

func (w *world) commit(fill func(*storage.Batch)) {
	w.t.Helper()
	b := w.engine.NewBatch()
	fill(b)
	w.index++
	if err := w.engine.Commit(b, storage.Globals{Applied: w.index, Term: 1, Now: 5, Incarnations: uint64(len(w.states))}); err != nil {
		w.t.Fatal(err)
	}
}

// Open implements Source as a node does.
func (w *world) Open(ctx context.Context, base Ask) (io.ReadCloser, error) {
	w.asked = append(w.asked, base)
	if base.ClusterID != "" && (base.ClusterID != w.cluster || base.Index > w.index) {
		return nil, fmt.Errorf("%w: another cluster", ErrBaseUnfit)
	}
	view, err := w.engine.View()
	if err != nil {
		return nil, err
	}
	defer view.Close()
	h := Header{ClusterID: w.cluster, NodeID: "n1", Version: "test", Index: w.index, Term: 1, Since: base.Index, TakenAt: time.Unix(1e9+int64(w.index), 0)}
	var b bytes.Buffer
	if err := Send(ctx, &b, h, view, base.Held); err != nil {
		return nil, err
	}
	if w.broken > 0 {
		b.Truncate(w.broken)
	}
	return io.NopCloser(&b), nil
}

func (w *world) create() Manifest {
	w.t.Helper()
	m, err := Create(w.t.Context(), Directory(w.dir), w, CreateConfig{})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) load(id string) *Chain {
	w.t.Helper()
	c, err := Load(w.t.Context(), Directory(w.dir), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// pairs are what the copy has now.
func (w *world) pairs() (all []string) {
	w.t.Helper()
	view, err := w.engine.View()
	if err != nil {
		w.t.Fatal(err)
	}
	defer view.Close()
	if err := view.Export(w.t.Context(), func(uint64) (uint64, bool) { return 0, false }, &collector{&all}); err != nil {
		w.t.Fatal(err)
	}
	return all
}

type collector struct{ all *[]string }

func (c *collector) Pair(key, value []byte) error {
	*c.all = append(*c.all, fmt.Sprintf("%x=%x", key, value))
	return nil
}
func (c *collector) Held(storage.Held) error { return nil }

func walked(t *testing.T, c *Chain, after []byte) (all []string) {
	t.Helper()
	if err := c.Walk(after, (&collector{&all}).Pair); err != nil {
		t.Fatal(err)
	}
	return all
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("got %d pairs, want %d:\n%.600s\nwant\n%.600s", len(got), len(want), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAChainOfBackupsIsWhatTheCopyWasAtEach(t *testing.T) {
	w := newWorld(t)
	big := strings.Repeat("0123456789abcdef", 4096)
	for i := range 400 {
		w.append(stream.Name(fmt.Sprintf("s/%d", i%7)), big, fmt.Sprint(i))
	}
	first, was := w.create(), w.pairs()
	if first.Base != nil || len(first.of(Records)) < 2 {
		t.Fatalf("got base %v and %d objects of records; want none, and several", first.Base, len(first.of(Records)))
	}
	w.append("s/1", "one", "two")
	w.append("new", "three")
	w.append("empty")
	w.drop("s/2")
	second, then := w.create(), w.pairs()
	if second.Base == nil || second.Base.ID != first.ID {
		t.Fatalf("got base %+v, want %s", second.Base, first.ID)
	}
	if second.Stored()*20 > first.Stored() || second.Totals.Pairs > 20 {
		t.Fatalf("the second backup took %d bytes and %d pairs, the first %d bytes", second.Stored(), second.Totals.Pairs, first.Stored())
	}
	w.append("s/1", "four")
	w.append("s/0", "five")
	third, now := w.create(), w.pairs()
	for id, want := range map[string][]string{first.ID: was, second.ID: then, third.ID: now, "": now} {
		equal(t, walked(t, w.load(id), nil), want)
		v, err := w.load(id).Verify(nil)
		if err != nil || int(v.Pairs) != len(want) {
			t.Fatalf("verify %s: got %+v, %v", id, v, err)
		}
	}
	// A walk can begin after any pair.
	for i := 0; i < len(now); i += max(1, min(len(now)/9, len(now)-i-5)) {
		key, _, _ := strings.Cut(now[i], "=")
		var after []byte
		fmt.Sscanf(key, "%x", &after)
		equal(t, walked(t, w.load(""), after), now[i+1:])
	}
}

func TestAnotherClusterIsReadWhole(t *testing.T) {
	w := newWorld(t)
	w.append("a", "one")
	w.create()
	w.cluster = "c2"
	w.append("a", "two")
	m := w.create()
	if m.Base != nil || len(w.asked) != 3 || w.asked[1].ClusterID != "c1" || w.asked[2].ClusterID != "" {
		t.Fatalf("got base %+v after asking for %+v", m.Base, w.asked)
	}
	equal(t, walked(t, w.load(""), nil), w.pairs())
}

func TestAnInterruptedBackupIsNone(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.append("a", strings.Repeat(fmt.Sprint(i), 1000))
	}
	full, err := w.Open(t.Context(), Ask{})
	if err != nil {
		t.Fatal(err)
	}
	all, _ := io.ReadAll(full)
	for _, n := range []int{1, 5, 200, len(all) / 2, len(all) - 30, len(all) - 1} {
		w.broken = n
		if _, err := Create(t.Context(), Directory(w.dir), w, CreateConfig{}); !errors.Is(err, errIncomplete) {
			t.Fatalf("broken off after %d of %d bytes: got %v", n, len(all), err)
		}
		if _, err := Load(t.Context(), Directory(w.dir), ""); err == nil {
			t.Fatalf("broken off after %d bytes: there is a backup", n)
		}
	}
	w.broken = 0
	w.create()
	equal(t, walked(t, w.load(""), nil), w.pairs())
}

// TestDamageIsNamed flips a byte of each file, and takes each away.
func TestDamageIsNamed(t *testing.T) {
	w := newWorld(t)
	w.append("a", "one", strings.Repeat("x", 3000))
	w.append("b", "two")
	w.create()
	w.append("a", "three")
	w.create()
	files, err := filepath.Glob(filepath.Join(w.dir, "*", "*"))
	if err != nil || len(files) != 8 {
		t.Fatalf("got files %q, %v; want 8", files, err)
	}
	for _, path := range files {
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, w.dir+"/"))
		refused := func(how string) {
			t.Helper()
			c, err := Load(t.Context(), Directory(w.dir), w.lastID())
			if err == nil {
				_, err = c.Verify(nil)
			}
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Fatalf("%s of %s: got %v, want an error that names it", how, name, err)
			}
		}
		for _, at := range []int{0, len(good) / 2, len(good) - 1} {
			bad := bytes.Clone(good)
			bad[at] ^= 4
			write(t, path, bad)
			refused(fmt.Sprintf("flip at %d", at))
		}
		write(t, path, good[:len(good)-1])
		refused("cut")
		write(t, path, append(bytes.Clone(good), '\n'))
		refused("growth")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		refused("loss")
		write(t, path, good)
	}
	if _, err := w.load("").Verify(nil); err != nil {
		t.Fatal(err)
	}
}

func (w *world) lastID() string {
	ids, err := Directory(w.dir).List(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return ids[len(ids)-1]
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestMissingRecordsAreNoticed takes objects out of a manifest that is sealed
// anew: what no checksum can show.
func TestMissingRecordsAreNoticed(t *testing.T) {
	w := newWorld(t)
	w.append("a", "one")
	w.append("b", "two")
	m := w.create()
	for i, o := range m.Objects {
		less := m
		less.Objects = append(append([]Object{}, m.Objects[:i]...), m.Objects[i+1:]...)
		b, err := less.encode()
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(w.dir, m.ID, manifestName), b)
		_, err = w.load("").Verify(nil)
		if o.Kind == Records && !errors.Is(err, ErrDamaged) {
			t.Fatalf("without %s: got %v", o.Name, err)
		}
	}
}

// TestGapsAreOnlyWhatWasTrimmed: a stream may be trimmed on both sides of what its
// forks inherit, and nowhere else.
func TestGapsAreOnlyWhatWasTrimmed(t *testing.T) {
	for name, c := range map[string]struct {
		horizon uint64
		pinned  stream.Range
		sound   bool
	}{
		"beside what is pinned":    {30, stream.Range{From: 0, To: 10}, true},
		"pinned no more":           {30, stream.Range{}, true},
		"what is pinned":           {30, stream.Range{From: 0, To: 20}, false},
		"what can be read":         {20, stream.Range{From: 0, To: 10}, false},
		"a stream without horizon": {0, stream.Range{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for range 4 {
				w.append("a", "0123456789")
			}
			w.append("b", "other")
			w.commit(func(b *storage.Batch) {
				if err := b.FreeRecords(1, 10, 30); err != nil {
					t.Fatal(err)
				}
				s := *w.states["a"]
				s.Horizon, s.Pinned, s.Freed = c.horizon, c.pinned, c.horizon
				b.PutStream("a", stream.AppendState(nil, &s))
			})
			w.create()
			if _, err := w.load("").Verify(nil); (err == nil) != c.sound {
				t.Fatalf("got %v, want sound: %v", err, c.sound)
			}
		})
	}
}

func TestStreamsAreReadFromAChain(t *testing.T) {
	w := newWorld(t)
	w.append("a/1", "one;", "two;")
	w.append("b", "other")
	w.create()
	w.append("a/1", "three;")
	// A fork after "one;", with data of its own.
	w.states["a/2"] = &stream.State{Incarnation: 9, ContentType: "text/plain", Base: 4, Pos: 4, Spans: []stream.Span{{Incarnation: 1, From: 0, To: 4}}}
	w.content["a/2"] = "one;"
	w.append("a/2", "mine;")
	w.states["a/3"] = &stream.State{Incarnation: 10, Deleted: true}
	w.append("a/3", "gone")
	w.create()
	w.append("a/1", "later")
	c, got := w.load(""), map[stream.Name]string{}
	p, err := stream.ParsePattern("a/*")
	if err != nil {
		t.Fatal(err)
	}
	err = c.Streams(p.Match, func(s Stream) error {
		take, finish := Batches(6, func(data []byte) error {
			got[s.Name] += string(data) + "|"
			return nil
		})
		return errors.Join(c.Read(s, take), finish())
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["a/1"] != "one;|two;|three;|" || got["a/2"] != "one;|mine;|" {
		t.Fatalf("got %q", got)
	}
}

func TestAnArchiveIsABucketOfOneBackup(t *testing.T) {
	w := newWorld(t)
	for i := range 50 {
		w.append("a", strings.Repeat(fmt.Sprint(i), 700))
	}
	var b bytes.Buffer
	out := NewTarWriter(&b, time.Now)
	if _, err := Create(t.Context(), out, w, CreateConfig{}); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.dir, "x.tar")
	write(t, path, b.Bytes())
	in, err := OpenTar(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	c, err := Load(t.Context(), in, "")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, walked(t, c, nil), w.pairs())
	for _, n := range []int{600, b.Len() / 2, b.Len() - 3000} {
		write(t, path, b.Bytes()[:n])
		cut, err := OpenTar(path)
		if err != nil {
			continue
		}
		if _, err := Load(t.Context(), cut, ""); err == nil {
			t.Fatalf("an archive cut after %d of %d bytes is taken for a backup", n, b.Len())
		}
		cut.Close()
	}
}

func TestANewerBackupIsRefused(t *testing.T) {
	w := newWorld(t)
	w.append("a", "one")
	m := w.create()
	for _, change := range []func(*Manifest){func(m *Manifest) { m.Format++ }, func(m *Manifest) { m.Wire++ }} {
		newer := m
		change(&newer)
		b, err := newer.encode()
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(w.dir, m.ID, manifestName), b)
		if _, err := Load(t.Context(), Directory(w.dir), m.ID); !errors.Is(err, storage.ErrNewerFormat) {
			t.Fatalf("got %v", err)
		}
	}
}
