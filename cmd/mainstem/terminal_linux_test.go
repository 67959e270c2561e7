package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mainstem/cli"
)

// terminal is a pseudo-terminal, and what was written to it so far.
func terminal(t *testing.T) (tty *os.File, written func() string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	var out buffer
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		b := make([]byte, 4<<10)
		for {
			n, err := master.Read(b)
			if err != nil { // of a terminal that nobody holds any more
				return
			}
			_, _ = out.Write(b[:n])
		}
	}()
	return tty, func() string {
		tty.Close()
		<-copied
		return out.String()
	}
}

// A long transfer shows how far it is, to a person at a terminal, and not when it
// is to be quiet or when nobody sits there.
func TestLongTransfersShowABarAtATerminal(t *testing.T) {
	_, base := dev(t)
	file := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(file, []byte(strings.Repeat("0123456789abcde\n", 64<<10)), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, base, "", "", "create", "s", "--content-type=text/plain", "-q")
	for _, c := range []struct {
		args  []string
		shows bool
	}{
		{[]string{"append", "s", "--file", file}, true},
		{[]string{"append", "s", "--file", file, "--quiet"}, false},
		{[]string{"read", "s", "--out", filepath.Join(t.TempDir(), "out")}, true},
		{[]string{"read", "s", "--out", filepath.Join(t.TempDir(), "out"), "--quiet"}, false},
	} {
		tty, written := terminal(t)
		code := run(t.Context(), cli.Invocation{Args: append([]string{"stream"}, c.args...), Environ: []string{"STREAM_URL=" + base}, Stdin: strings.NewReader(""), Stdout: &strings.Builder{}, Stderr: tty})
		if out := written(); code != 0 || strings.Contains(out, "B/s)") != c.shows {
			t.Errorf("%q: exit %d, shows %q, want a bar: %v", c.args, code, out, c.shows)
		}
	}
	if _, notes, _ := ofStreams(t, base, "", "append", "s", "--file", file); strings.Contains(notes, "B/s)") {
		t.Errorf("nobody sits there, and yet: %q", notes)
	}
}
