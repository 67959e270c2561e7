package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mainstem/test/harness"
)

const (
	bulkStreams = 4
	bulkAppend  = 1 << 20
	bulkStdMB   = 128
)

// bulkMB is how much is backed up; MAINSTEM_BACKUP_MB=1024 for the whole gigabyte.
func bulkMB(t *testing.T) int {
	if s := os.Getenv("MAINSTEM_BACKUP_MB"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return bulkStdMB
}

// bulk are streams with content that can be made again.
type bulk struct {
	sums  [bulkStreams]hash.Hash
	noise [bulkStreams]*rand.ChaCha8
}

func newBulk() *bulk {
	b := &bulk{}
	for i := range bulkStreams {
		b.sums[i], b.noise[i] = sha256.New(), rand.NewChaCha8([32]byte{byte(i + 1)})
	}
	return b
}

func bulkName(i int) string { return fmt.Sprintf("bulk/%d", i) }

// grow appends to all streams at once, megabytes together.
func (b *bulk) grow(t *testing.T, urls []string, megabytes int) {
	t.Helper()
	var all sync.WaitGroup
	for i := range bulkStreams {
		all.Go(func() {
			client := harness.NewClient(urls[i%len(urls)])
			if a, err := client.Create(bulkName(i), harness.Headers("Content-Type", "application/octet-stream"), ""); err != nil || a.Status > 201 {
				t.Errorf("create %s: %s, %v", bulkName(i), a, err)
				return
			}
			part := make([]byte, bulkAppend)
			for range megabytes / bulkStreams {
				_, _ = b.noise[i].Read(part)
				_, _ = b.sums[i].Write(part)
				if a, err := client.Append(bulkName(i), harness.Headers("Content-Type", "application/octet-stream"), string(part)); err != nil || a.Status != 204 {
					t.Errorf("append to %s: %s, %v", bulkName(i), a, err)
					return
				}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// check reads what a node has under a prefix: the first streams.
func (b *bulk) check(t *testing.T, n *harness.Node, prefix string, streams int) {
	t.Helper()
	for i := range streams {
		sum := sha256.New()
		client, at := n.Client(), "-1"
		for {
			a, err := client.Read(prefix+bulkName(i), at, nil)
			if err != nil || a.Status != 200 {
				t.Fatalf("read %s at %s: %s, %v", bulkName(i), n.ID, a, err)
			}
			sum.Write(a.Body)
			if at = a.Next(); a.UpToDate() {
				break
			}
		}
		if got, want := hex.EncodeToString(sum.Sum(nil)), hex.EncodeToString(b.sums[i].Sum(nil)); got != want {
			t.Fatalf("%s at %s has SHA-256 %s, want %s", prefix+bulkName(i), n.ID, got, want)
		}
	}
}

// command runs the program under test to its end.
func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(harness.Binary(t), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	begun := time.Now()
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	t.Logf("mainstem %s: %v: %.300s", strings.Join(args[:2], " "), time.Since(begun).Round(time.Millisecond), strings.TrimSpace(out.String()+errs.String()))
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func succeeds(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := command(t, args...)
	if code != 0 {
		t.Fatalf("mainstem %s: exit code %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

func mustRefuse(t *testing.T, why string, args ...string) {
	t.Helper()
	if _, errs, code := command(t, args...); code == 0 || !strings.Contains(errs, why) {
		t.Fatalf("mainstem %s: exit code %d and %q, want a refusal with %q", strings.Join(args, " "), code, errs, why)
	}
}

// made is what backup create --json prints.
type made struct {
	ID      string
	Index   uint64
	Base    *struct{ ID string }
	Objects []struct {
		Name  string
		Kind  string
		Bytes int64
	}
}

func (m made) size() (n int64) {
	for _, o := range m.Objects {
		n += o.Bytes
	}
	return n
}

func create(t *testing.T, n *harness.Node, where string) (m made) {
	t.Helper()
	if err := json.Unmarshal([]byte(succeeds(t, "backup", "create", "--json", "--url", n.URL(), where)), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestABackupUnderLoadIsRestoredByteForByte(t *testing.T) {
	harness.Require(t)
	c := harness.StartCluster(t, 3)
	follower, where := c.Followers()[0], filepath.Join(harness.Dir(t), "backups")
	l, b, size := startLoad(t, c.URLs()), newBulk(), bulkMB(t)
	b.grow(t, c.URLs(), size)

	first := create(t, follower, where)
	if first.Base != nil || first.size() < int64(size)<<20 {
		t.Fatalf("the first backup has base %v and %d bytes", first.Base, first.size())
	}
	b.grow(t, c.URLs(), 2*bulkStreams)
	before := acknowledged(l)
	second := create(t, follower, where)
	if grown := int64(2 * bulkStreams << 20); second.Base == nil || second.Base.ID != first.ID || second.size() > 2*grown+16<<20 {
		t.Fatalf("the second backup has base %v and %d bytes, of which %d are in the bulk", second.Base, second.size(), grown)
	}
	lastBackupIsKnown(t, follower)
	succeeds(t, "backup", "verify", where)
	damageIsRefused(t, where, first)
	interruptedIsNone(t, follower)

	succeeds(t, "backup", "restore", where, "--streams", "bulk/0", "--prefix", "restored/", "--into", c.Nodes[0].URL()+"/v1/stream")
	b.check(t, c.Nodes[2], "restored/", 1)
	mustRefuse(t, "is there already", "backup", "restore", where, "--streams", "bulk/0", "--prefix", "restored/", "--into", c.Nodes[0].URL()+"/v1/stream")
	l.finish()
	l.tell(0)

	restored := harness.NewCluster(t, 2)
	one, two := restored.Nodes[0], restored.Nodes[1]
	restore := []string{"backup", "restore", where, "--data-dir", one.Dir, "--node-id", one.ID, "--peer-addr", one.PeerAddr}
	succeeds(t, restore...)
	mustRefuse(t, "is in use", restore...)
	restored.Start()
	restored.WaitReady()
	harness.Eventually(t, settleWithinRestore, "two voters", func() error {
		s, err := one.Status()
		if err == nil && len(s.Members) != 2 {
			err = fmt.Errorf("%d members", len(s.Members))
		}
		return err
	})
	for _, n := range []*harness.Node{one, two} {
		b.check(t, n, "", bulkStreams)
		beginsAsLive(t, l, c.Nodes[0], n, before)
	}
}

const settleWithinRestore = 60 * time.Second

// acknowledged is how many appends of each stream of the load are acknowledged.
func acknowledged(l *load) map[string]string {
	tails := map[string]string{}
	for _, s := range l.streams {
		a, err := s.writers[0].producer.Clients[0].Head(s.name, nil)
		if err != nil || a.Status != 200 {
			l.t.Fatalf("head %s: %s, %v", s.name, a, err)
		}
		tails[s.name] = a.Next()
	}
	return tails
}

// beginsAsLive: each stream of the load is in the restored cluster what it is in the live
// one, byte for byte and at the same offsets, up to where it ends; and it does not end before
// what was acknowledged when the backup began.
func beginsAsLive(t *testing.T, l *load, live, restored *harness.Node, before map[string]string) {
	t.Helper()
	for _, s := range l.streams {
		got, err := restored.Client().ReadAll(s.name, "-1", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Next < before[s.name] {
			t.Fatalf("%s ends at %s in the backup, and %s was acknowledged before it began", s.name, got.Next, before[s.name])
		}
		all, err := live.Client().ReadAll(s.name, "-1", nil)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := live.Client().ReadAll(s.name, got.Next, nil)
		if err != nil {
			t.Fatalf("the live stream knows no offset %s: %v", got.Next, err)
		}
		join := harness.Content.Bytes
		if s.json {
			join = harness.Content.JSON
			rest.Chunks = append(append([][]byte{}, got.Chunks...), rest.Chunks...)
		} else {
			rest.Chunks = append([][]byte{got.Bytes()}, rest.Chunks...)
		}
		if !bytes.Equal(join(rest), join(all)) {
			t.Fatalf("%s: what was restored up to %s and what follows it in the live stream are not the live stream", s.name, got.Next)
		}
	}
}

// lastBackupIsKnown looks at the metric of the node that was read.
func lastBackupIsKnown(t *testing.T, n *harness.Node) {
	t.Helper()
	a, err := n.Client().Get("/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(a.Body)) {
		if at, ok := strings.CutPrefix(line, "mainstem_last_backup_timestamp_seconds "); ok {
			seconds, err := strconv.ParseFloat(strings.TrimSpace(at), 64)
			if age := time.Since(time.UnixMilli(int64(seconds * 1000))); err != nil || age < 0 || age > time.Hour {
				t.Fatalf("the metric says %s: %v ago, %v", at, age, err)
			}
			return
		}
	}
	t.Fatal("there is no metric of the last backup")
}

// damageIsRefused flips one byte in the middle of an object of the base.
func damageIsRefused(t *testing.T, where string, m made) {
	t.Helper()
	name := m.ID + "/" + m.Objects[len(m.Objects)/2].Name
	path := filepath.Join(where, name)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	rewrite(t, path, content)
	mustRefuse(t, name, "backup", "verify", where)
	content[len(content)/2] ^= 1
	rewrite(t, path, content)
}

func rewrite(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// interruptedIsNone kills a backup when it has written something.
func interruptedIsNone(t *testing.T, n *harness.Node) {
	t.Helper()
	dir := harness.Dir(t)
	where := filepath.Join(dir, "interrupted")
	p, err := harness.StartProcess(filepath.Join(dir, "log"), nil, harness.Binary(t), "backup", "create", "--bytes-per-second", "30000000", "--url", n.URL(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	harness.Eventually(t, time.Minute, "an object of the backup", func() error {
		found := fs.ErrNotExist
		return errOr(filepath.WalkDir(where, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasPrefix(filepath.Base(path), "records-") {
				found = nil
			}
			return nil
		}), &found)
	})
	mustRefuse(t, "another backup is being read", "backup", "create", "--url", n.URL(), filepath.Join(dir, "second"))
	p.Kill()
	mustRefuse(t, "there is no backup here", "backup", "verify", where)
	harness.Eventually(t, time.Minute, "the node free for another backup", func() error {
		if _, errs, code := command(t, "backup", "create", "--url", n.URL(), filepath.Join(dir, "third.tar")); code != 0 {
			return fmt.Errorf("%s", errs)
		}
		return nil
	})
	succeeds(t, "backup", "verify", filepath.Join(dir, "third.tar"))
}

func errOr(err error, other *error) error {
	if err != nil {
		return err
	}
	return *other
}
