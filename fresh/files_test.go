package fresh_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mainstem/fresh"
)

// watched notes what a set of files does.
type watched struct {
	paths  []string
	takes  []string
	taken  int
	told   []string
	unfit  string // content that is refused
	files  *fresh.Files
	config fresh.Config
}

func watch(t *testing.T, contents ...string) *watched {
	t.Helper()
	w := &watched{unfit: "unfit"}
	dir := t.TempDir()
	for i, content := range contents {
		w.paths = append(w.paths, filepath.Join(dir, string(rune('a'+i))))
		w.write(t, i, content)
		w.config.Files = append(w.config.Files, fresh.File{Path: w.paths[i], BytesMax: 64})
	}
	w.config.Take = func(content [][]byte) error {
		var all []string
		for _, b := range content {
			all = append(all, string(b))
		}
		w.takes = append(w.takes, strings.Join(all, "|"))
		if slices.Contains(all, w.unfit) {
			return errors.New("it is " + w.unfit)
		}
		return nil
	}
	w.config.Taken = func() { w.taken++ }
	w.config.Refused = func(err error) { w.told = append(w.told, err.Error()) }
	return w
}

func (w *watched) write(t *testing.T, i int, content string) {
	t.Helper()
	if err := os.WriteFile(w.paths[i], []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run opens the files and calls do between their ticks, in virtual time.
func (w *watched) run(t *testing.T, do func(pass func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if w.files, err = fresh.Open(w.config); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); w.files.Run(ctx) }()
		do(func() { time.Sleep(time.Second); synctest.Wait() })
		stop()
		<-done
	})
}

func TestUnchangedFilesAreTakenOnce(t *testing.T) {
	w := watch(t, "one", "two")
	w.run(t, func(pass func()) {
		for range 5 {
			pass()
		}
		w.write(t, 0, "one") // another time, the same content
		pass()
	})
	if want := []string{"one|two"}; !slices.Equal(w.takes, want) || w.taken != 0 || len(w.told) != 0 {
		t.Fatalf("took %q, told of %d changes and of %q; want %q and nothing told", w.takes, w.taken, w.told, want)
	}
}

func TestAChangeOfAnyFileIsTaken(t *testing.T) {
	w := watch(t, "one", "two")
	w.run(t, func(pass func()) {
		w.write(t, 1, "three")
		pass()
		pass()
		w.write(t, 0, "onet") // a byte moved from one file to the other is a change too
		w.write(t, 1, "hree")
		pass()
	})
	if want := []string{"one|two", "one|three", "onet|hree"}; !slices.Equal(w.takes, want) || w.taken != 2 {
		t.Fatalf("took %q, told of %d changes; want %q and 2", w.takes, w.taken, want)
	}
}

func TestWhatIsUnfitIsToldOnceAndAgainAfterItWasWell(t *testing.T) {
	w := watch(t, "one")
	w.run(t, func(pass func()) {
		w.write(t, 0, w.unfit)
		pass()
		pass()
		w.write(t, 0, "one") // what is in use: well again, and nothing to take
		pass()
		w.write(t, 0, w.unfit)
		pass()
		if err := os.Remove(w.paths[0]); err != nil {
			t.Fatal(err)
		}
		pass()
		pass()
		w.write(t, 0, "two")
		pass()
	})
	if want := []string{"one", "unfit", "unfit", "two"}; !slices.Equal(w.takes, want) {
		t.Errorf("took %q, want %q", w.takes, want)
	}
	if len(w.told) != 3 || w.told[0] != "it is unfit" || w.told[1] != "it is unfit" || !strings.Contains(w.told[2], "no such file") {
		t.Errorf("told %q, want it of the unfit content twice and of the missing file once", w.told)
	}
	if w.taken != 1 {
		t.Errorf("told of %d changes, want 1", w.taken)
	}
}

func TestAnOpenSaysWhetherItCouldReadOrDidNotLike(t *testing.T) {
	w := watch(t, "unfit")
	var unread *fresh.ReadError
	if _, err := fresh.Open(w.config); err == nil || errors.As(err, &unread) {
		t.Errorf("unfit content: got %v, want the error of who takes it", err)
	}
	w.write(t, 0, strings.Repeat("x", 65))
	w.config.Files[0].Name = "the.setting"
	if _, err := fresh.Open(w.config); !errors.As(err, &unread) || !strings.HasPrefix(err.Error(), "the.setting: ") || !strings.Contains(err.Error(), "more than 64 bytes") {
		t.Errorf("a file that is too long: got %v", err)
	}
	w.config.Files = append(w.config.Files, fresh.File{Name: "another.setting", Path: w.paths[0] + ".none"})
	if _, err := fresh.Open(w.config); !errors.As(err, &unread) || !strings.Contains(err.Error(), "the.setting: ") || !strings.Contains(err.Error(), "another.setting: open ") {
		t.Errorf("two files that cannot be read: got %v, want both named", err)
	}
}

func TestNoFilesAreNothingToWaitFor(t *testing.T) {
	w := watch(t)
	w.run(t, func(pass func()) { pass() })
	if want := []string{""}; !slices.Equal(w.takes, want) {
		t.Fatalf("took %q, want once nothing", w.takes)
	}
}
