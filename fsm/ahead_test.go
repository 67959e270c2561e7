package fsm_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"mainstem/fsm"
	"mainstem/stream"
)

// readsCounted counts the reads of tables.
type readsCounted struct {
	vfs.FS
	reads atomic.Int64
}

type readCounted struct {
	vfs.File
	fs *readsCounted
}

func (c *readsCounted) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := c.FS.Open(name, opts...)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return f, err
	}
	return readCounted{f, c}, nil
}

func (f readCounted) ReadAt(p []byte, at int64) (int, error) {
	f.fs.reads.Add(1)
	return f.File.ReadAt(p, at)
}

// TestWhatFollowsAFullChunkIsReadAhead: who goes on where a full chunk has ended does
// not wait for the disk.
func TestWhatFollowsAFullChunkIsReadAhead(t *testing.T) {
	files := &readsCounted{FS: vfs.NewMem()}
	before := openNode(t, files, fsm.Config{})
	want := long(before, "s", 400)
	if err := errors.Join(before.engine.Flush(), before.engine.Close()); err != nil {
		t.Fatal(err)
	}
	n := openNodeCaching(t, files, fsm.Config{}, 16<<20) // with nothing in memory yet
	text, chunk := n.read("s", stream.From{}, keptLimit)
	n.ReadsAhead()
	var late int64
	for !chunk.UpToDate() {
		before := files.reads.Load()
		var more string
		more, chunk = n.read("s", stream.FromOffset(chunk.Next), keptLimit)
		late += files.reads.Load() - before
		text += more
		n.ReadsAhead()
	}
	if text != want {
		t.Fatalf("got %d bytes, want %d", len(text), len(want))
	}
	if all := files.reads.Load(); all < 40 || late > all/4 { // the copy looks at a new table by itself, too
		t.Errorf("%d of %d reads of tables were by who asked, want next to none", late, all)
	}
}
