package storage

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"
	"golang.org/x/sys/unix"
)

// takenBy is the space that the files of a directory take, not their length.
func takenBy(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		var s unix.Stat_t
		if err := unix.Stat(filepath.Join(dir, name.Name()), &s); err != nil {
			t.Fatal(err)
		}
		bytes += s.Blocks * 512
	}
	return bytes
}

// A follower's log loses its end with many a change of leader.
func TestLostEndsOfTheLogCostHardlyAnySpace(t *testing.T) {
	const segment, rounds = 8 << 20, 100
	for name, restart := range map[string]bool{"in one life": false, "with a restart after each": true} {
		t.Run(name, func(t *testing.T) {
			cfg := LogConfig{Dir: filepath.Join(t.TempDir(), "log"), SegmentBytes: segment}
			l := openTestLog(t, cfg)
			store(t, l, 1, 3, 3)
			for last := uint64(3); last < 3+rounds; last++ {
				store(t, l, last+1, last+2, 2)
				if err := l.DeleteRange(last+2, last+2); err != nil {
					t.Fatal(err)
				}
				if restart {
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
					l = openTestLog(t, cfg)
				}
			}
			wantEntries(t, l, 1, 3+rounds)
			got := takenBy(t, cfg.Dir)
			t.Logf("%d KiB on disk after %d lost ends", got>>10, rounds)
			if most := int64(2*segment + rounds*16<<10); got > most {
				t.Fatalf("got %d bytes on disk, want at most %d", got, most)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			wantEntries(t, openTestLog(t, cfg), 1, 3+rounds)
		})
	}
}

func TestFullSegmentsKeepNoSlack(t *testing.T) {
	cfg := LogConfig{Dir: filepath.Join(t.TempDir(), "log"), SegmentBytes: 1 << 20}
	l := openTestLog(t, cfg)
	large := string(noise(600 << 10)) // two to a segment, which then is larger than it was made
	for i := uint64(1); i <= 9; i++ {
		if err := l.StoreLog(&raft.Log{Index: i, Term: 1, Data: []byte(large)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var entry raft.Log
	l = openTestLog(t, cfg)
	for i := uint64(1); i <= 9; i++ {
		if err := l.GetLog(i, &entry); err != nil || string(entry.Data) != large {
			t.Fatalf("entry %d: got %d bytes, %v", i, len(entry.Data), err)
		}
	}
}

// noRoom are files of which new ones cannot be made from some moment on.
type noRoom struct {
	types.VFS
	mu   sync.Mutex
	full bool
}

func (f *noRoom) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full {
		return nil, &os.PathError{Op: "fallocate", Path: name, Err: syscall.ENOSPC}
	}
	return f.VFS.Create(dir, name, size)
}

func (f *noRoom) set(full bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = full
}

// raft-wal makes the next segment in the background, logs that it could not, and
// says "sealed" to the next write.
func TestALogWithoutItsNextSegmentNamesTheCause(t *testing.T) {
	files := &noRoom{VFS: newSegmentFS()}
	told := make(chan error, 10)
	cfg := LogConfig{Dir: filepath.Join(t.TempDir(), "log"), SegmentBytes: 1 << 20, files: files, Fatal: func(err error) { told <- err }}
	l := openTestLog(t, cfg)
	files.set(true)
	entry := &raft.Log{Index: 1, Term: 1, Data: noise(2 << 20)} // fills the segment
	if err := l.StoreLog(entry); err != nil {
		t.Fatal(err)
	}
	if err := <-told; !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make raft log segment") {
		t.Fatalf("got fatal error %v", err)
	}
	if err := l.StoreLog(entryAt(2)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want the cause", err)
	}
	if len(told) != 0 {
		t.Fatalf("told again: %v", <-told)
	}
	_ = l.Close()
	files.set(false)
	l = openTestLog(t, cfg) // as the next start would, with space again
	if last, err := l.LastIndex(); err != nil || last != 1 {
		t.Fatalf("got last index %d, %v, want 1", last, err)
	}
	store(t, l, 2, 5, 1)
}
