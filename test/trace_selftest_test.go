package test

import (
	"slices"
	"strings"
	"testing"
)

// The trace of one append that does everything right on one node, by name, so
// that the cases below can leave a line out or move it.
const (
	lineMkdir   = `9 1.0 mkdirat(AT_FDCWD</>, "/r/n1/raft", 0755) = 0 <0.01>`
	lineCreate  = `9 1.1 openat(AT_FDCWD</>, "/r/n1/raft/1.wal", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0644) = 7</r/n1/raft/1.wal> <0.01>`
	lineSyncUp  = `9 1.2 fsync(8</r/n1>) = 0 <0.01>`
	lineSyncDir = `9 1.3 fsync(8</r/n1/raft>) = 0 <0.01>`
	lineRead    = `9 2.0 read(5<TCP:[127.0.0.1:80->127.0.0.1:99]>, "POST /v1/stream/s HTTP/1.1\r\n\r\nmark-1;", 4096) = 36 <0.01>`
	lineWrite   = `9 2.1 pwrite64(7</r/n1/raft/1.wal>, "\1\2mark-1;\3", 10, 32) = 10 <0.01>`
	lineSync    = `9 2.2 fdatasync(7</r/n1/raft/1.wal>) = 0 <0.01>`
	lineAnswer  = `9 2.3 write(5<TCP:[127.0.0.1:80->127.0.0.1:99]>, "HTTP/1.1 204 No Content\r\n\r\n", 27) = 27 <0.01>`
)

var soundTrace = []string{lineMkdir, lineCreate, lineSyncUp, lineSyncDir, lineRead, lineWrite, lineSync, lineAnswer}

// TestTheFsyncJudgeFindsEachOmission shows that the proof can fail: made-up
// traces in which one thing is missing or late.
func TestTheFsyncJudgeFindsEachOmission(t *testing.T) {
	cases := map[string]struct {
		trace []string
		want  string // part of what is missing; "" when all is well
	}{
		"sound": {soundTrace, ""},
		"sound, with calls cut in two": {swap(soundTrace, lineSync,
			`9 2.2 fdatasync(7</r/n1/raft/1.wal> <unfinished ...>`,
			`8 2.2 write(2</r/log>, "x", 1) = 1 <0.01>`,
			`9 2.3 <... fdatasync resumed>) = 0 <0.01>`), ""},
		"no sync at all": {swap(soundTrace, lineSync), "not synced between"},
		"sync failed":    {swap(soundTrace, lineSync, `9 2.2 fdatasync(7</r/n1/raft/1.wal>) = -1 EIO (Input/output error) <0.01>`), "not synced between"},
		"sync of another file": {swap(soundTrace, lineSync,
			`9 2.2 fdatasync(7</r/n1/raft/2.wal>) = 0 <0.01>`), "not synced between"},
		"sync_file_range is no sync": {swap(soundTrace, lineSync,
			`9 2.2 sync_file_range(7</r/n1/raft/1.wal>, 0, 0, SYNC_FILE_RANGE_WRITE) = 0 <0.01>`), "not synced between"},
		"sync before the write": {swap(swap(soundTrace, lineSync), lineWrite, lineSync, lineWrite), "not synced between"},
		"sync begun before the write": {swap(swap(soundTrace, lineSync), lineWrite,
			`8 2.1 fdatasync(7</r/n1/raft/1.wal> <unfinished ...>`, lineWrite,
			`8 2.2 <... fdatasync resumed>) = 0 <0.01>`), "not synced between"},
		"sync ended after the answer": {swap(swap(soundTrace, lineSync), lineAnswer,
			`8 2.2 fdatasync(7</r/n1/raft/1.wal> <unfinished ...>`, lineAnswer,
			`8 2.4 <... fdatasync resumed>) = 0 <0.01>`), "not synced between"},
		"written nowhere":              {swap(soundTrace, lineWrite), "not written to the raft log"},
		"written to the copy alone":    {swap(soundTrace, lineWrite, strings.ReplaceAll(lineWrite, "raft/1.wal", "copy/1.sst")), "not written to the raft log"},
		"the log's directory unsynced": {swap(soundTrace, lineSyncDir), "directory of /r/n1/raft/1.wal"},
		"directory synced before the file was made": {swap(swap(soundTrace, lineSyncDir), lineCreate, lineSyncDir, lineCreate),
			"directory of /r/n1/raft/1.wal"},
		"the directory above unsynced": {swap(soundTrace, lineSyncUp), "directory of /r/n1/raft "},
		"the data directory's own entry unsynced": {append([]string{`9 0.1 mkdirat(AT_FDCWD</>, "/r/n1", 0755) = 0 <0.01>`}, soundTrace...),
			"directory of /r/n1 "},
		"renamed into place, unsynced": {swap(soundTrace, lineRead,
			`9 1.4 openat(AT_FDCWD</>, "/r/n1/id.tmp", O_RDWR|O_CREAT, 0644) = 6</r/n1/id.tmp> <0.01>`,
			`9 1.4 fsync(6</r/n1/id.tmp>) = 0 <0.01>`,
			`9 1.5 renameat(AT_FDCWD</>, "/r/n1/id.tmp", AT_FDCWD</>, "/r/n1/id") = 0 <0.01>`, lineRead),
			"directory of /r/n1/id "},
	}
	node := []tracedNode{{id: "n1", addr: "127.0.0.1:80", dir: "/r/n1", log: "/r/n1/raft", skip: "/r/n1/copy"}}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := judged(t, c.trace, node)
			missing := strings.Join(got.missing, "; ")
			if c.want == "" && missing != "" || !strings.Contains(missing, c.want) {
				t.Fatalf("missing %q, want %q", missing, c.want)
			}
			if durable := len(got.durable) == 1; durable != (c.want == "") {
				t.Fatalf("durable on %q", got.durable)
			}
		})
	}
}

// TestTheFsyncJudgeCountsNodes shows that one node of three is not taken for a
// quorum.
func TestTheFsyncJudgeCountsNodes(t *testing.T) {
	nodes := []tracedNode{
		{id: "n1", addr: "127.0.0.1:80", dir: "/r/n1", log: "/r/n1/raft", skip: "/r/n1/copy"},
		{id: "n2", addr: "127.0.0.1:81", dir: "/q/n2", log: "/q/n2/raft", skip: "/q/n2/copy"},
	}
	other := func(line string) string { return strings.ReplaceAll(line, "/r/n1/", "/q/n2/") }
	both := swap(soundTrace, lineAnswer, other(lineWrite), other(lineSync), lineAnswer)
	late := append(slices.Clone(soundTrace), other(lineWrite), other(lineSync))
	if got := judged(t, both, nodes).durable; len(got) != 2 {
		t.Errorf("both synced in time, durable on %q", got)
	}
	if got := judged(t, late, nodes).durable; len(got) != 1 || got[0] != "n1" {
		t.Errorf("the second synced late, durable on %q", got)
	}
}

func TestTheFsyncJudgeRefusesWhatItCannotRead(t *testing.T) {
	for _, line := range []string{"nonsense", "9 1.0 nonsense", "9 1.0 fsync(3</a>) = ", "9 1.0 <... fsync resumed>) = 0"} {
		if _, err := parseTrace(strings.NewReader(line + "\n")); err == nil {
			t.Errorf("%q was passed over", line)
		}
	}
	calls, err := parseTrace(strings.NewReader(traceText(swap(soundTrace, lineAnswer))))
	if err != nil {
		t.Fatal(err)
	}
	node := []tracedNode{{id: "n1", addr: "127.0.0.1:80", dir: "/r/n1", log: "/r/n1/raft", skip: "/r/n1/copy"}}
	if _, err := newAccount(calls).judge(node, []string{"mark-1;"}); err == nil {
		t.Error("an append without an answer was judged")
	}
	if _, err := newAccount(calls).judge(node, []string{"mark-2;"}); err == nil {
		t.Error("an append that the trace does not show was judged")
	}
}

func TestTheFsyncJudgeLeavesOutALineThatWasCutOff(t *testing.T) {
	whole, err := parseTrace(strings.NewReader(traceText(soundTrace)))
	if err != nil {
		t.Fatal(err)
	}
	cut, err := parseTrace(strings.NewReader(traceText(soundTrace) + "9 1.0 read(29<TCP:[127.0.0.1:1->127.0.0.1:2]>, "))
	if err != nil || len(cut) != len(whole) {
		t.Errorf("%d calls and %v with a last line without its end, want %d", len(cut), err, len(whole))
	}
}

func traceText(lines []string) string { return strings.Join(lines, "\n") + "\n" }

// swap replaces a line by others, or by none.
func swap(lines []string, line string, by ...string) []string {
	i := slices.Index(lines, line)
	return slices.Replace(slices.Clone(lines), i, i+1, by...)
}

func judged(t *testing.T, lines []string, nodes []tracedNode) verdict {
	t.Helper()
	calls, err := parseTrace(strings.NewReader(traceText(lines)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := newAccount(calls).judge(nodes, []string{"mark-1;"})
	if err != nil {
		t.Fatal(err)
	}
	return v[0]
}
