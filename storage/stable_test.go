package storage

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"mainstem/test/harness"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

func openTestStable(t *testing.T, path string) *Stable {
	t.Helper()
	s, err := OpenStable(StableConfig{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func must1[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestStableKeepsValuesOverReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "stable.db")
	s := openTestStable(t, path)
	for term := uint64(1); term <= 5; term++ {
		if err := s.SetUint64([]byte("CurrentTerm"), term); err != nil {
			t.Fatal(err)
		}
		if err := s.Set([]byte("LastVoteCand"), []byte("node-2")); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openTestStable(t, path)
		if got := must1[uint64](t)(s.GetUint64([]byte("CurrentTerm"))); got != term {
			t.Fatalf("got term %d, want %d", got, term)
		}
		if got := must1[[]byte](t)(s.Get([]byte("LastVoteCand"))); string(got) != "node-2" {
			t.Fatalf("got vote %q", got)
		}
	}
}

// raft compares the text of this error.
func TestStableSaysNotFoundAsRaftExpects(t *testing.T) {
	s := openTestStable(t, filepath.Join(t.TempDir(), "stable.db"))
	for _, get := range []func() error{
		func() error { _, err := s.Get([]byte("CurrentTerm")); return err },
		func() error { _, err := s.GetUint64([]byte("CurrentTerm")); return err },
	} {
		if err := get(); err != raftboltdb.ErrKeyNotFound || err.Error() != "not found" {
			t.Fatalf("got %v", err)
		}
	}
}

func TestStableValueBelongsToItsKey(t *testing.T) {
	if _, ok := unseal([]byte("LastVoteTerm"), seal([]byte("CurrentTerm"), []byte("7"))); ok {
		t.Fatal("a value was taken for that of another key")
	}
}

// A damaged file never shows another term or vote, and never none.
func TestStableDetectsFlipsAndTruncations(t *testing.T) {
	if harness.Race {
		t.Skip("the race build ends the process where bolt reads a damaged page")
	}
	path := filepath.Join(t.TempDir(), "live", "stable.db")
	s := openTestStable(t, path)
	for term := uint64(1); term <= 20; term++ {
		for _, err := range []error{
			s.SetUint64([]byte("CurrentTerm"), term),
			s.SetUint64([]byte("LastVoteTerm"), term),
			s.Set([]byte("LastVoteCand"), []byte("127.0.0.1:4438")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	crashed := crashCopy(t, filepath.Dir(path))
	path = filepath.Join(crashed, "stable.db")
	detected := 0
	eachDamage(t, crashed, func(what string) {
		if _, err := os.Stat(path); err != nil {
			return // a file that is gone is the node identity's to notice
		}
		err := checkStable(path, 20)
		switch {
		case errors.Is(err, ErrCorrupt):
			detected++
		case err != nil:
			t.Fatalf("%s: got %v", what, err)
		}
	})
	t.Logf("detected %d", detected)
	if detected == 0 {
		t.Fatal("nothing was detected")
	}
}

func checkStable(path string, term uint64) error {
	s, err := OpenStable(StableConfig{Path: path})
	if err != nil {
		return err
	}
	defer s.Close()
	for _, key := range []string{"CurrentTerm", "LastVoteTerm"} {
		got, err := s.GetUint64([]byte(key))
		if err != nil {
			return err
		}
		if got != term {
			return errors.New(key + " is another without an error")
		}
	}
	vote, err := s.Get([]byte("LastVoteCand"))
	if err == nil && !bytes.Equal(vote, []byte("127.0.0.1:4438")) {
		return errors.New("the vote is another without an error")
	}
	return err
}

func TestStableTakesNothingAfterFailedWrite(t *testing.T) {
	var fatal []error
	s, err := OpenStable(StableConfig{
		Path:  filepath.Join(t.TempDir(), "stable.db"),
		Fatal: func(err error) { fatal = append(fatal, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.inner.Close(); err != nil { // the nearest thing to a disk that fails
		t.Fatal(err)
	}
	for range 2 {
		if err := s.SetUint64([]byte("CurrentTerm"), 1); err == nil {
			t.Fatal("stored")
		}
	}
	if len(fatal) != 1 {
		t.Fatalf("got fatal errors %v", fatal)
	}
}

func TestStableIsNotMadeAnewOnNodeThatHadOne(t *testing.T) {
	cfg := StableConfig{Path: filepath.Join(t.TempDir(), "stable.db"), MustExist: true}
	if _, err := OpenStable(cfg); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
	openTestStable(t, cfg.Path).Close()
	s, err := OpenStable(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
