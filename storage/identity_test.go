package storage

import (
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestIdentityIsKept(t *testing.T) {
	fs, dir := vfs.NewMem(), Dir("data")
	if _, ok, err := LoadIdentity(fs, dir); ok || err != nil {
		t.Fatalf("fresh directory: got %v, %v", ok, err)
	}
	want := Identity{NodeID: "n1", DirectoryID: "d1"}
	if err := SaveIdentity(fs, dir, want); err != nil {
		t.Fatal(err)
	}
	want.ClusterID = "c1"
	if err := SaveIdentity(fs, dir, want); err != nil {
		t.Fatal(err)
	}
	got, ok, err := LoadIdentity(fs, dir)
	if got != want || !ok || err != nil {
		t.Fatalf("got %+v, %v, %v, want %+v", got, ok, err, want)
	}
}

func TestStartUnderAnotherNodeIDIsRefused(t *testing.T) {
	id := Identity{NodeID: "n1"}
	if err := id.CheckNodeID("n1"); err != nil {
		t.Fatal(err)
	}
	if err := id.CheckNodeID("n2"); err == nil || !strings.Contains(err.Error(), `belongs to node "n1"`) {
		t.Fatalf("got %v", err)
	}
}

func TestLostIdentityIsNotTakenForAFreshDirectory(t *testing.T) {
	fs, dir := vfs.NewMem(), Dir("data")
	if err := makeDir(fs, dir.Log()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadIdentity(fs, dir); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
}

func TestIncompleteIdentityIsRefused(t *testing.T) {
	fs, dir := vfs.NewMem(), Dir("data")
	for name, id := range map[string]Identity{
		"no node id":      {DirectoryID: "d"},
		"no directory id": {NodeID: "n"},
	} {
		if err := SaveIdentity(fs, dir, id); err == nil {
			t.Fatalf("%s: saved", name)
		}
	}
	if err := makeDir(fs, string(dir)); err != nil {
		t.Fatal(err)
	}
	if err := writeSealed(fs, dir.identity(), Identity{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadIdentity(fs, dir); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v", err)
	}
}

func TestDataDirectoryHasOneUser(t *testing.T) {
	dir := Dir(t.TempDir() + "/new/data")
	lock, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockDir(dir); err == nil || !strings.Contains(err.Error(), "is in use by another mainstem") {
		t.Fatalf("got %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
